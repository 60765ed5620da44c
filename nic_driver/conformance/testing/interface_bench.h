// A Linux interface on the bench: one end of a veth pair, in a network
// namespace of the test's own, handed to the driver by the platform service's
// own code. At the other end, the test has the wire, or a thread sends
// everything back.
#ifndef BULKHEAD_NIC_DRIVER_CONFORMANCE_TESTING_INTERFACE_BENCH_H_
#define BULKHEAD_NIC_DRIVER_CONFORMANCE_TESTING_INTERFACE_BENCH_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nic_driver/conformance/testing/device_bench.h"
#include "nic_driver/conformance/testing/far_end.h"
#include "platform_service/linux_interface/linux_owner.h"
#include "platform_service/linux_interface/testing/veth_lab.h"

namespace bulkhead::nic_driver::testing {

// An interface of several queues, both ends alike, spreads what it sends by
// its flows, and its other end receives it on the queue of that number. It has
// one more than the driver may use, so that there are fewer lanes than queues.
//
// Of the port's counters it has what an echo sees: frames sent and received.
// What the kernel drops is the driver's to count.
class InterfaceBench final : public DeviceBench {
 public:
  // For drivers that are handed XDP sockets, and packet sockets.
  static absl::StatusOr<std::unique_ptr<DeviceBench>> CreateXdp(
      const DeviceOptions& options) {
    return Create(options, true);
  }
  static absl::StatusOr<std::unique_ptr<DeviceBench>> CreatePacket(
      const DeviceOptions& options) {
    return Create(options, false);
  }
  // False: this user may make no interfaces; the test is to be skipped.
  static bool Usable();
  // Of a frame that an XDP socket on a veth sends: this kernel may know none in
  // several. 0: no socket can be opened.
  static uint32_t MaxXdpPieces();
  absl::Status AddToGrant(platform::DeviceGrant* grant,
                          platform::FdList* fds) override;
  absl::Status SetBusMaster(bool on) override {
    return on ? absl::OkStatus() : owner_->ClearBusMaster();
  }
  absl::Status Reset() override { return owner_->ResetAndVerify({}); }
  absl::Status MapDma(uint64_t, uint64_t, int, bool) override {
    return absl::OkStatus();
  }
  absl::Status UnmapDma(uint64_t, uint64_t) override {
    return owner_->ClearBusMaster();
  }
  absl::Status AddToSession(const packet_stream::SessionAreas& areas,
                            platform::SessionGrant* grant,
                            platform::FdList* fds) override;
  absl::Status SetLink(bool up, platform::ToDriver* message) override;
  int wire() const override { return far_end_->wire(); }
  const nic_model::PortCounters& port() const override {
    return far_end_->port();
  }
  void Unplug() override { lab_.Ip(0, "link del ours"); }
  // All in this process.
  size_t OpenDescriptors() const override { return 0; }

 private:
  InterfaceBench() = default;
  static absl::StatusOr<std::unique_ptr<DeviceBench>> Create(
      const DeviceOptions& options, bool xdp);

  absl::Status MakePair(uint32_t mtu);
  absl::Status Take(uint32_t mtu, bool xdp);
  uint32_t queues() const { return state_.queues(); }

  platform::testing::VethLab lab_{
      2};  // Ours in the first, theirs in the second.
  platform::InterfaceState state_;
  std::unique_ptr<platform::LinuxOwner> owner_;
  std::unique_ptr<FarEnd> far_end_;
};

}  // namespace bulkhead::nic_driver::testing

#endif  // BULKHEAD_NIC_DRIVER_CONFORMANCE_TESTING_INTERFACE_BENCH_H_
