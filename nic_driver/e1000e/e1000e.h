// The driver of the Intel 82574L (8086:10d3).
//
// One rx and one tx queue; extended rx descriptors; legacy tx descriptors, one
// of which inserts a checksum where the session asks for it, and context and
// data descriptors for a TCP segment that the NIC is to cut up; three MSI-X
// vectors: rx, tx, everything else.
//
// A start costs three round trips to registers (CTRL, RAL0 with RAH0, STATUS),
// since a read is one and a write is not.
//
// Not here, because: the NVM, flow control, VLAN offload, RSS (one queue),
// wake-up and manageability (the machine's firmware owns them), ASPM (config
// space is the platform's, S3). The NVM sets the PHY up, and a restart must not
// drop the link: it is left alone unless there is none.
#ifndef BULKHEAD_NIC_DRIVER_E1000E_E1000E_H_
#define BULKHEAD_NIC_DRIVER_E1000E_E1000E_H_

#include <cstdint>
#include <memory>
#include <span>

#include "absl/strings/string_view.h"
#include "nic_driver/e1000e/e1000e_regs.h"
#include "nic_driver/framework/dma_memory.h"
#include "nic_driver/framework/driver.h"
#include "nic_driver/framework/registers.h"
#include "nic_driver/intel/descriptor_rings.h"
#include "nic_driver/intel/multicast_table.h"
#include "nic_driver/intel/phy.h"

namespace bulkhead::nic_driver {

class E1000e final : public SingleQueueDriver {
 public:
  static constexpr absl::string_view kName = "e1000e";
  static constexpr uint32_t kRxEntries = intel::kRxEntries;
  static constexpr uint32_t kTxEntries = intel::kTxEntries;

  static std::unique_ptr<E1000e> Create(const DriverContext& context);

  absl::Status Probe() override;
  Task<absl::StatusOr<NicFacts>> Attach() override;
  absl::Status Configure(const NicConfig& config) override;
  Task<absl::StatusOr<LinkStatus>> Start(uint32_t rx_buffer_bytes,
                                         uint32_t queues) override;
  Task<absl::StatusOr<StopReport>> Stop() override;

  size_t RxRoom() const override;
  void RxRefill(std::span<const RxBuffer> buffers) override;
  size_t RxHarvest(std::span<RxPiece> out) override;
  size_t TxRoom() const override;
  void TxSubmit(std::span<const TxPiece> pieces) override;
  size_t TxReap(std::span<TxDone> out) override;

  IrqResult HandleIrq(uint32_t vector) override;
  void ArmIrqs() override;
  LinkStatus Link() override;
  DeviceStatistics ReadStatistics() override;

  Task<absl::Status> Detach() override;
  void Shutdown() override;

 private:
  explicit E1000e(const DriverContext& context)
      : context_(context),
        regs_(context.device, e1000e::kRegisterBar),
        phy_(context.loop, regs_),
        multicast_(context.loop, regs_) {}

  Task<absl::Status> Reset();
  Task<absl::Status> DisableBusMaster();
  Task<absl::Status> RaiseLink();
  void InitRx();
  void InitTx();
  void InitIrq();
  Value<e1000e::RCTL> ReceiveControl() const;
  void WriteModeration();
  void PutContext(const TxPiece& first);
  intel::RxFormat Format() const;

  DriverContext context_;
  Registers regs_;
  intel::Phy phy_;
  DmaMemory memory_;  // The rx ring, then the tx ring.
  intel::RxRing rx_;
  intel::TxRing tx_;

  NicConfig config_;
  uint32_t rx_buffer_bytes_ = 2048;
  bool started_ = false;
  Value<e1000e::RCTL> rctl_;  // As last written.
  intel::MulticastTable<e1000e::MTA, e1000e::STATUS> multicast_;

  uint32_t fired_ = 0;  // Causes that the device masked by itself (IAM).
};

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_E1000E_E1000E_H_
