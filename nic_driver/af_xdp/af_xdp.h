// Drives a Linux interface through XDP sockets, one for each of its queues:
// frames go between the kernel and the session's own memory, which the platform
// service has made the sockets' UMEM. The driver maps their rings and no frame
// (S3).
//
// What the kernel copies is up to the interface's driver: nothing (zero-copy),
// or once between its own memory and UMEM.
//
// In contrast to a NIC behind an IOMMU, UMEM is writable for the kernel as a
// whole: a driver that was broken into can have received frames written over
// its own client's frames to send. It reaches no other session's memory.
#ifndef BULKHEAD_NIC_DRIVER_AF_XDP_AF_XDP_H_
#define BULKHEAD_NIC_DRIVER_AF_XDP_AF_XDP_H_

#include <cstdint>
#include <deque>
#include <memory>

#include "nic_driver/af_xdp/xdp_lane.h"
#include "nic_driver/framework/driver.h"
#include "nic_driver/framework/linux_interface.h"

namespace bulkhead::nic_driver {

class AfXdp final : public Driver {
 public:
  static constexpr char kName[] = "af_xdp";
  static std::unique_ptr<Driver> Create(const DriverContext& context) {
    return std::make_unique<AfXdp>(context);
  }

  explicit AfXdp(const DriverContext& context)
      : interface_(context.interface), most_lanes_(context.queues) {}

  absl::Status Probe() override;
  Task<absl::StatusOr<NicFacts>> Attach() override;
  // Promiscuity is the platform service's affair, the rest not the sockets'.
  absl::Status Configure(const NicConfig&) override { return absl::OkStatus(); }
  // The platform service has opened the sockets for the lanes that there are.
  Task<absl::StatusOr<LinkStatus>> Start(uint32_t rx_buffer_bytes,
                                         uint32_t queues) override;
  Task<absl::StatusOr<StopReport>> Stop() override;

  Queue& queue(uint32_t index) override { return lanes_[index]; }
  // There are no vectors.
  uint32_t QueueOf(uint32_t) const override { return kControl; }
  IrqResult HandleIrq(uint32_t) override { return {}; }
  LinkStatus Link() override { return interface_->state().link; }
  DeviceStatistics ReadStatistics() override;

  Task<absl::Status> Detach() override;
  // The sockets end with the process, which is about to; other threads may be
  // at their rings still.
  void Shutdown() override {}

 private:
  LinuxInterface* const interface_;
  const uint32_t most_lanes_;
  // With sockets while there is a session: a socket has its UMEM for good.
  std::deque<XdpLane> lanes_;  // Never moved: others refer to them.
};

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_AF_XDP_AF_XDP_H_
