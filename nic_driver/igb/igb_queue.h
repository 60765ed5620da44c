// One queue pair of the 82576: a receive and a transmit ring, and their vector.
#ifndef BULKHEAD_NIC_DRIVER_IGB_IGB_QUEUE_H_
#define BULKHEAD_NIC_DRIVER_IGB_IGB_QUEUE_H_

#include <cstdint>
#include <span>

#include "nic_driver/framework/dma_memory.h"
#include "nic_driver/framework/driver.h"
#include "nic_driver/framework/registers.h"
#include "nic_driver/igb/igb_regs.h"
#include "nic_driver/intel/descriptor_rings.h"

namespace bulkhead::nic_driver::igb {

// Threading: the verbs are the queue's thread's, the rest is the control
// thread's (driver.h). They touch no register but the queue's own tails, and of
// EIMS and EIMC, where zeros leave alone, the bit of its vector.
class IgbQueue final : public Queue {
 public:
  // Vector `index` is its own. `regs` outlives it.
  IgbQueue(const Registers& regs, uint32_t index)
      : regs_(regs), index_(index) {}

  // intel::kRingBytes of `memory` from `offset` on: the rx ring, then the tx
  // ring.
  void Attach(const DmaMemory& memory, size_t offset);
  void Detach();
  uint64_t rx_ring() const { return rx_iova_; }
  uint64_t tx_ring() const { return rx_iova_ + intel::kRxRingBytes; }
  // The device has forgotten heads, tails and contexts.
  void Forget();
  // No descriptor of before is left.
  void Clear();
  // What received frames are to be taken for.
  void Expect(uint32_t rx_buffer_bytes, bool rx_checksum) {
    rx_buffer_bytes_ = rx_buffer_bytes;
    rx_checksum_ = rx_checksum;
  }
  // What the rings of the stopped device still hold.
  StopReport TakeLeftovers();

  size_t RxRoom() const override { return rx_.Room(); }
  void RxRefill(std::span<const RxBuffer> buffers) override;
  size_t RxHarvest(std::span<RxPiece> out) override;
  size_t TxRoom() const override { return tx_.Room(); }
  void TxSubmit(std::span<const TxPiece> pieces) override;
  size_t TxReap(std::span<TxDone> out) override;
  IrqResult HandleIrq(uint32_t vector) override;
  void ArmIrqs() override;

 private:
  // What the queue remembers of its last context descriptor.
  struct TxContext {
    uint16_t checksum_start = 0;
    uint16_t checksum_position = 0;  // 0: there was none.
    uint16_t segment_bytes = 0;
    uint16_t header_bytes = 0;
    bool ipv6 = false;

    bool operator==(const TxContext&) const = default;
  };

  static uint64_t FrameOptions(const TxPiece& first);
  void PutContext(const TxPiece& first);
  intel::RxFormat Format() const;

  const Registers& regs_;
  const uint32_t index_;
  uint64_t rx_iova_ = 0;
  intel::RxRing rx_;
  intel::TxRing tx_;
  uint32_t rx_buffer_bytes_ = 2048;
  bool rx_checksum_ = false;
  TxContext tx_context_;
  bool fired_ = false;  // Its vector did, and was not armed since.
};

}  // namespace bulkhead::nic_driver::igb

#endif  // BULKHEAD_NIC_DRIVER_IGB_IGB_QUEUE_H_
