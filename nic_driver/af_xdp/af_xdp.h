// Drives a Linux interface through an XDP socket: frames go between the kernel
// and the session's own memory, which the platform service has made the
// socket's UMEM. The driver maps four rings and no frame (S3).
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
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "nic_driver/af_xdp/xdp_queue.h"
#include "nic_driver/framework/driver.h"
#include "nic_driver/framework/linux_interface.h"

namespace bulkhead::nic_driver {

class AfXdp final : public SingleQueueDriver {
 public:
  static constexpr char kName[] = "af_xdp";
  static std::unique_ptr<Driver> Create(const DriverContext& context) {
    return std::make_unique<AfXdp>(context);
  }

  explicit AfXdp(const DriverContext& context)
      : interface_(context.interface) {}

  absl::Status Probe() override;
  Task<absl::StatusOr<NicFacts>> Attach() override;
  // Promiscuity is the platform service's affair, the rest not the socket's.
  absl::Status Configure(const NicConfig&) override { return absl::OkStatus(); }
  Task<absl::StatusOr<LinkStatus>> Start(uint32_t rx_buffer_bytes,
                                         uint32_t queues) override;
  Task<absl::StatusOr<StopReport>> Stop() override;

  size_t RxRoom() const override { return queue_ ? queue_->RxRoom() : 0; }
  void RxRefill(std::span<const RxBuffer> buffers) override {
    queue_->RxRefill(buffers);
  }
  [[nodiscard]] size_t RxHarvest(std::span<RxPiece> out) override {
    return queue_ ? queue_->RxHarvest(out) : 0;
  }
  size_t TxRoom() const override { return queue_ ? queue_->TxRoom() : 0; }
  void TxSubmit(std::span<const TxPiece> pieces) override {
    queue_->TxSubmit(pieces);
  }
  [[nodiscard]] size_t TxReap(std::span<TxDone> out) override {
    return queue_ ? queue_->TxReap(out) : 0;
  }

  IrqResult HandleIrq(uint32_t) override { return {}; }
  void ArmIrqs() override {}
  int wake_fd() const override { return queue_ ? queue_->socket() : -1; }
  LinkStatus Link() override { return interface_->state().link; }
  DeviceStatistics ReadStatistics() override;

  Task<absl::Status> Detach() override;
  void Shutdown() override { queue_.reset(); }

 private:
  LinuxInterface* const interface_;
  // While there is a session: a queue is a socket, and a socket has its UMEM
  // for good.
  std::unique_ptr<XdpQueue> queue_;
};

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_AF_XDP_AF_XDP_H_
