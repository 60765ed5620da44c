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

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/strings/string_view.h"
#include "nic_driver/framework/dma_memory.h"
#include "nic_driver/framework/driver.h"
#include "nic_driver/framework/registers.h"
#include "nic_driver/igb/igb_regs.h"
#include "nic_driver/igb/phy.h"

namespace bulkhead::nic_driver {

class Igb final : public SingleQueueDriver {
 public:
  static constexpr absl::string_view kName = "igb";
  // Ring entries. An rx ring as large as a session's default number of buffers
  // bridges the moments in which we are not scheduled. Multiples of 8 (RDLEN
  // and TDLEN count in 128 bytes).
  static constexpr uint32_t kRxEntries = 1024;
  static constexpr uint32_t kTxEntries = 512;
  // A batch has at most so many frames, of which each may need a context.
  static constexpr uint32_t kContextReserve = kBatchPieces;

  static std::unique_ptr<Igb> Create(const DriverContext& context);
  ~Igb() override;

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
  struct TxSlot {
    uint32_t buffer = 0;
    uint16_t length = 0;
    bool more = false;
    bool context = false;  // No piece: it belongs to the frame behind it.
  };

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
        phy_(context.loop, regs_) {}

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
  void WriteMulticast(const std::array<uint32_t, 128>& wanted);
  void ClearMulticastLater();
  static uint64_t FrameOptions(const TxPiece& first);
  void PutContext(const TxPiece& first);
  void EmitFrame(std::span<const uint64_t> statuses, bool whole,
                 std::span<RxPiece> out);
  StopReport CountLeftovers();

  DriverContext context_;
  Registers regs_;
  igb::Phy phy_;
  DmaMemory memory_;  // The rx ring, then the tx ring.
  std::span<igb::RxDescriptor> rx_ring_;
  std::span<igb::TxDescriptor> tx_ring_;

  NicConfig config_;
  uint32_t rx_buffer_bytes_ = 2048;
  bool started_ = false;
  bool reset_drops_link_ = false;  // RaiseLink had to.
  Value<igb::CTRL> ctrl_;          // As last written.
  Value<igb::TCTL> tctl_;          // As a reset leaves it.
  Value<igb::RCTL> rctl_;          // As last written.
  std::array<uint32_t, 128> multicast_ = {};
  bool multicast_cleared_ = false;
  EventLoop::TimerId multicast_timer_ = 0;

  // Free-running; & (entries - 1) gives the slot. head: oldest that the device
  // has. tail: next to be given.
  uint32_t rx_head_ = 0;
  uint32_t rx_tail_ = 0;
  bool rx_skipping_ = false;  // Inside a frame of too many pieces.
  std::array<uint32_t, kRxEntries> rx_buffers_ = {};
  uint32_t tx_head_ = 0;
  uint32_t tx_tail_ = 0;
  bool tx_in_frame_ = false;
  TxContext tx_context_;
  std::array<TxSlot, kTxEntries> tx_slots_ = {};

  uint32_t fired_ = 0;  // Vectors that fired and were not armed since.
};

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_IGB_IGB_H_
