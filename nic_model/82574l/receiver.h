// The receive path: filter, packet buffer, descriptor ring. Datasheet 7.1.
#ifndef BULKHEAD_NIC_MODEL_82574L_RECEIVER_H_
#define BULKHEAD_NIC_MODEL_82574L_RECEIVER_H_

#include <array>
#include <cstdint>
#include <span>

#include "nic_model/82574l/interrupts.h"
#include "nic_model/82574l/registers.h"
#include "nic_model/counters.h"
#include "nic_model/dma_map.h"
#include "nic_model/faults.h"
#include "nic_model/frames/checksum.h"
#include "nic_model/frames/frame_fifo.h"
#include "nic_model/intel/register_file.h"
#include "nic_model/intel/ring.h"
#include "nic_model/intel/statistics.h"

namespace bulkhead::nic_model::i82574 {

// A frame goes to the ring when enough free descriptors wait for all of it,
// else to the packet buffer, and is missed (MPC) when that is full too.
//
// Guarantees: every frame given to Receive ends in exactly one rx_ counter
// (S8), at the latest when the receiver is reset. Whatever the ring registers
// and descriptors say, the work per frame is bounded by its length.
class Receiver {
 public:
  Receiver(RegisterFile& regs, DmaMap& dma, Interrupts& interrupts,
           Statistics& statistics, PortCounters& counters, const Faults& faults)
      : regs_(regs),
        dma_(dma),
        interrupts_(interrupts),
        statistics_(statistics),
        counters_(counters),
        faults_(faults),
        ring_(regs, kRdbal, dma, faults) {}

  void Receive(std::span<const uint8_t> frame);
  // Raises the interrupts that the frames since the last call are due.
  void EndBatch();

  // Moves frames from the packet buffer to descriptors that became free.
  void DrainFifo();
  // RCTL, PBA or the link changed.
  void Update(bool link_up);
  // Before the registers are reset.
  void Reset();

  // A frame of any length would not be missed just now.
  bool HasFreeDescriptors() const { return enabled_ && ring_.owned() != 0; }
  // XOFF was sent: frames wait in the packet buffer above FCRTH.
  bool PausesPartner() const;

  uint64_t frames_done() const { return frames_done_; }

 private:
  uint32_t BufferBytes() const;
  // How many descriptors the frame takes; 0: no ring could hold it.
  uint32_t DescriptorsFor(size_t bytes) const;
  void Deliver(std::span<const uint8_t> frame, uint32_t descriptors);
  bool WriteFrame(std::span<const uint8_t> frame, uint32_t descriptors);
  bool WriteBack(uint32_t length, bool last, std::span<const uint8_t> frame);
  uint32_t ChecksumStatus(std::span<const uint8_t> frame) const;
  uint16_t PacketChecksum(std::span<const uint8_t> frame) const;
  // Ends the accounting of one frame.
  void Account(std::atomic<uint64_t>& counter);

  RegisterFile& regs_;
  DmaMap& dma_;
  Interrupts& interrupts_;
  Statistics& statistics_;
  PortCounters& counters_;
  const Faults& faults_;
  Ring ring_;
  bool enabled_ = false;
  bool delivered_ = false;  // Since EndBatch.
  bool overrun_ = false;    // Since EndBatch.
  uint64_t frames_done_ = 0;
  FrameFifo fifo_;
  std::array<uint8_t, kMaxFrameBytes + 4> scratch_;  // Padded, or with FCS.
};

}  // namespace bulkhead::nic_model::i82574

#endif  // BULKHEAD_NIC_MODEL_82574L_RECEIVER_H_
