// The driver of the Intel 82576 (8086:10c9).
//
// One rx and one tx queue of the sixteen; advanced descriptors, rx frames in
// buffers of one piece each; a context descriptor before a frame that asks for
// another checksum or segmentation than the one before; three MSI-X vectors:
// rx, tx, everything else.
//
// Not here, because: RSS and more queues (a session has one pair of rings),
// virtual functions and VMDq (config space is the platform's, S3), the EEPROM,
// flow control, VLAN offload, header split (nobody looks at headers), time
// stamps, IPsec and MACsec (frames pass as they are), wake-up and manageability
// (the machine's firmware owns them). The PHY is left alone but for one that
// was never told to negotiate, see phy.h.
#ifndef BULKHEAD_NIC_DRIVER_IGB_IGB_H_
#define BULKHEAD_NIC_DRIVER_IGB_IGB_H_

#include <cstdint>
#include <memory>
#include <span>

#include "absl/strings/string_view.h"
#include "nic_driver/framework/dma_memory.h"
#include "nic_driver/framework/driver.h"
#include "nic_driver/framework/registers.h"
#include "nic_driver/igb/igb_regs.h"
#include "nic_driver/igb/phy.h"
#include "nic_driver/intel/descriptor_rings.h"
#include "nic_driver/intel/multicast_table.h"

namespace bulkhead::nic_driver {

class Igb final : public SingleQueueDriver {
 public:
  static constexpr absl::string_view kName = "igb";
  static constexpr uint32_t kRxEntries = intel::kRxEntries;
  static constexpr uint32_t kTxEntries = intel::kTxEntries;
  static constexpr uint32_t kContextReserve = intel::kContextReserve;

  static std::unique_ptr<Igb> Create(const DriverContext& context);

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
  // What a queue remembers of its last context descriptor.
  struct TxContext {
    uint16_t checksum_start = 0;
    uint16_t checksum_position = 0;  // 0: there was none.
    uint16_t segment_bytes = 0;
    uint16_t header_bytes = 0;
    bool ipv6 = false;

    bool operator==(const TxContext&) const = default;
  };

  explicit Igb(const DriverContext& context)
      : context_(context),
        regs_(context.device, igb::kRegisterBar),
        phy_(context.loop, regs_),
        multicast_(context.loop, regs_) {}

  Task<absl::Status> Reset();
  Task<absl::StatusOr<MacAddress>> ReadMac();
  Task<absl::Status> RaiseLink();
  Task<absl::Status> EmptyQueues();
  void ForgetRings();
  Task<absl::Status> EnableQueues();
  Task<absl::Status> DisableBusMaster();
  void ShutDmaOff();
  void InitRx();
  void InitTx();
  void InitIrq();
  void WriteModeration();
  Value<igb::RCTL> ReceiveControl() const;
  void WriteMaxLength();
  static uint64_t FrameOptions(const TxPiece& first);
  void PutContext(const TxPiece& first);
  intel::RxFormat Format() const;

  DriverContext context_;
  Registers regs_;
  igb::Phy phy_;
  DmaMemory memory_;  // The rx ring, then the tx ring.
  intel::RxRing rx_;
  intel::TxRing tx_;

  NicConfig config_;
  uint32_t rx_buffer_bytes_ = 2048;
  bool started_ = false;
  bool reset_drops_link_ = false;  // RaiseLink had to.
  Value<igb::CTRL> ctrl_;          // As last written.
  Value<igb::TCTL> tctl_;          // As a reset leaves it.
  Value<igb::RCTL> rctl_;          // As last written.
  intel::MulticastTable<igb::MTA, igb::STATUS> multicast_;
  TxContext tx_context_;

  uint32_t fired_ = 0;  // Vectors that fired and were not armed since.
};

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_IGB_IGB_H_
