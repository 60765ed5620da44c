// A real PCIe function on the bench, taken and owned by the platform service's
// own code. At the other end of its wire is an interface of Linux, with another
// NIC behind it, in a network namespace of its own.
//
// Which ones it is told by its environment, since a test's machine knows:
//   CARD          the function, 0000:01:00.0
//   CARD_MAC      its address, as it is labelled
//   CARD_FAR_END  the namespace of the one interface at the other end
//   CARD_CABLE    command that plugs its cable in, with the word `on`, and
//                 pulls it, with `off`
//   CARD_FORGET   command that has frames forgotten that are under way
// tests/hardware/conformance.test has such a machine.
#ifndef BULKHEAD_NIC_DRIVER_CONFORMANCE_TESTING_CARD_BENCH_H_
#define BULKHEAD_NIC_DRIVER_CONFORMANCE_TESTING_CARD_BENCH_H_

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "nic_driver/conformance/testing/device_bench.h"
#include "nic_driver/conformance/testing/far_end.h"
#include "platform_service/vfio/container.h"
#include "platform_service/vfio/function_taker.h"
#include "platform_service/vfio/reset_ladder.h"
#include "platform_service/vfio/vfio_owner.h"

namespace bulkhead::nic_driver::testing {

// The function, from the first bench of a process until its end: taking it
// resets it and takes a while.
class Card {
 public:
  // Takes it.
  static absl::StatusOr<std::unique_ptr<Card>> Create(
      const DeviceOptions& options);
  // Gives it back.
  ~Card();

  platform::VfioOwner& owner() { return *owner_; }
  // Its DMA mappings.
  platform::VfioContainer& container() { return *container_; }

 private:
  Card();
  absl::Status Open(const DeviceOptions& options, int group);
  // `vendor` or `device`, as the kernel reads it.
  absl::StatusOr<uint16_t> Identity(const char* file);

  platform::FunctionTaker taker_;
  platform::ResetMemory resets_;
  std::unique_ptr<platform::VfioContainer> container_;
  std::unique_ptr<platform::VfioOwner> owner_;
};

// Of the port's counters it has what an echo sees, and what the IOMMU blocked,
// as the kernel's log tells it.
class CardBench final : public DeviceBench {
 public:
  static absl::StatusOr<std::unique_ptr<DeviceBench>> Create(
      const DeviceOptions& options);
  // False: no card was named.
  static bool Usable();
  ~CardBench() override;

  absl::Status AddToGrant(platform::DeviceGrant* grant,
                          platform::FdList* fds) override;
  absl::Status SetBusMaster(bool on) override;
  absl::Status Reset() override { return card_.owner().ResetAndVerify({}); }
  absl::Status MapDma(uint64_t iova, uint64_t bytes, int memory_fd,
                      bool writable) override {
    return card_.container().Map(iova, bytes, memory_fd, writable);
  }
  absl::Status UnmapDma(uint64_t iova, uint64_t bytes) override {
    return card_.container().Unmap(iova, bytes);
  }
  absl::Status AddToSession(const packet_stream::SessionAreas&,
                            platform::SessionGrant*,
                            platform::FdList*) override {
    return absl::OkStatus();
  }
  absl::Status SetLink(bool up, platform::ToDriver* message) override;
  int wire() const override { return far_end_->wire(); }
  const nic_model::PortCounters& port() const override;
  void Unplug() override {}  // See BenchLimits.
  // None of it is in a process that a test could look at.
  size_t OpenDescriptors() const override { return 0; }

 private:
  CardBench(const DeviceOptions& options, Card& card)
      : options_(options), card_(card) {}

  absl::Status ArmIrqs();

  const DeviceOptions options_;
  Card& card_;
  std::vector<UniqueFd> irqs_;
  UniqueFd kernel_log_;
  std::unique_ptr<FarEnd> far_end_;
};

}  // namespace bulkhead::nic_driver::testing

#endif  // BULKHEAD_NIC_DRIVER_CONFORMANCE_TESTING_CARD_BENCH_H_
