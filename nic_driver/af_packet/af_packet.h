// Drives a Linux interface through a packet socket (packet(7)) with TPACKET_V3
// rings: for interfaces and kernels that have no AF_XDP.
//
// It copies each frame once, both ways: the rings are the kernel's memory, and
// sessions have their own. So this driver maps its session's frame memory,
// which a driver of a NIC with DMA never does (S3): who breaks into it reads
// that session's frames. af_xdp copies nothing here, and is blind.
//
// Linux goes on receiving what arrives at the interface, and may answer it.
#ifndef BULKHEAD_NIC_DRIVER_AF_PACKET_AF_PACKET_H_
#define BULKHEAD_NIC_DRIVER_AF_PACKET_AF_PACKET_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/shared_memory.h"
#include "base/unique_fd.h"
#include "nic_driver/af_packet/rx_blocks.h"
#include "nic_driver/af_packet/tx_frames.h"
#include "nic_driver/framework/driver.h"
#include "nic_driver/framework/linux_interface.h"

namespace bulkhead::nic_driver {

class AfPacket final : public SingleQueueDriver {
 public:
  static constexpr char kName[] = "af_packet";
  static std::unique_ptr<Driver> Create(const DriverContext& context) {
    return std::make_unique<AfPacket>(context);
  }

  explicit AfPacket(const DriverContext& context)
      : interface_(context.interface) {}

  absl::Status Probe() override;
  Task<absl::StatusOr<NicFacts>> Attach() override;
  absl::Status Configure(const NicConfig& config) override;
  Task<absl::StatusOr<LinkStatus>> Start(uint32_t rx_buffer_bytes,
                                         uint32_t queues) override;
  Task<absl::StatusOr<StopReport>> Stop() override;

  size_t RxRoom() const override;
  void RxRefill(std::span<const RxBuffer> buffers) override;
  [[nodiscard]] size_t RxHarvest(std::span<RxPiece> out) override;
  size_t TxRoom() const override;
  void TxSubmit(std::span<const TxPiece> pieces) override;
  [[nodiscard]] size_t TxReap(std::span<TxDone> out) override;

  IrqResult HandleIrq(uint32_t) override { return {}; }
  void ArmIrqs() override {}
  std::vector<int> wake_fds() const override {
    if (!open_) return {};
    return {open_->socket.get()};
  }
  LinkStatus Link() override { return interface_->state().link; }
  DeviceStatistics ReadStatistics() override;

  Task<absl::Status> Detach() override;
  void Shutdown() override { open_.reset(); }

 private:
  // What there is while there is a session.
  struct Open {
    UniqueFd socket;
    Mapping rings;
    Mapping tx_data;
    Mapping rx_data;
    uint32_t buffer_bytes = 0;
    std::unique_ptr<RxBlocks> rx;
    std::unique_ptr<TxFrames> tx;
    std::vector<RxBuffer> free;  // Empty buffers, last in first out.
    size_t buffers = 0;
  };

  absl::StatusOr<Open> MapRings(SessionSocket socket) const;
  bool Copy(BlockFrame frame, std::span<RxPiece> out, size_t* count);
  void Kick();

  LinuxInterface* const interface_;
  bool promiscuous_ = false;
  std::optional<Open> open_;
};

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_AF_PACKET_AF_PACKET_H_
