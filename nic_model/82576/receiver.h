// The receive path: filter, queue, packet buffer, descriptor ring. Datasheet
// 7.1.
#ifndef BULKHEAD_NIC_MODEL_82576_RECEIVER_H_
#define BULKHEAD_NIC_MODEL_82576_RECEIVER_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <span>

#include "nic_model/82576/interrupts.h"
#include "nic_model/82576/registers.h"
#include "nic_model/82576/rss.h"
#include "nic_model/counters.h"
#include "nic_model/dma_map.h"
#include "nic_model/faults.h"
#include "nic_model/frames/frame_fifo.h"
#include "nic_model/intel/register_file.h"
#include "nic_model/intel/ring.h"
#include "nic_model/intel/statistics.h"

namespace bulkhead::nic_model::i82576 {

// A frame goes to the ring of its queue (RSS) when enough free descriptors wait
// for all of it. Else it waits in the packet buffer, which all queues share and
// which keeps its order: whatever comes behind it waits, too. It is missed when
// there is no room (MPC), or when its queue does not wait (SRRCTL.Drop_En;
// RQDPC).
//
// Guarantees: every frame given to Receive ends in exactly one rx_ counter
// (S8), at the latest when the receiver is reset. Whatever the ring registers
// and descriptors say, the work per frame is bounded by its length.
class Receiver {
 public:
  Receiver(intel::RegisterFile& regs, DmaMap& dma, Interrupts& interrupts,
           intel::Statistics& statistics, PortCounters& counters,
           const Faults& faults)
      : regs_(regs),
        dma_(dma),
        interrupts_(interrupts),
        statistics_(statistics),
        counters_(counters),
        faults_(faults),
        rss_(regs) {}

  void Receive(std::span<const uint8_t> frame);
  // Raises the interrupts that the frames since the last call are due.
  void EndBatch();

  // Moves frames from the packet buffer to descriptors that became free.
  void DrainFifo();
  // RCTL, RXPBS or the link changed.
  void Update(bool link_up);
  // A register that Rss::Holds changed.
  void UpdateRss() { rss_.Update(); }
  // Before the registers are reset.
  void Reset();

  // A frame of any length and flow would not be missed just now.
  bool HasFreeDescriptors() const;

  uint64_t frames_done() const { return frames_done_; }

 private:
  // Of a queue: its ring, a register, how much of the ring is free, which is 0
  // as well while it is off, or is of a kind that is not modelled.
  intel::Ring RingOf(uint32_t queue) const {
    return intel::Ring(regs_, OfQueue(queue, kRdbal), dma_, faults_);
  }
  uint32_t& Reg(uint32_t queue, uint32_t of_queue_0) const {
    return regs_[OfQueue(queue, of_queue_0)];
  }
  uint32_t Free(uint32_t queue) const;
  uint32_t BufferBytes(uint32_t queue) const;
  bool TooLong(size_t bytes) const;
  uint32_t DescriptorsFor(size_t bytes, uint32_t queue) const;
  // False: the frame has to wait.
  bool Place(std::span<const uint8_t> frame);
  void Deliver(std::span<const uint8_t> frame, const RssResult& rss,
               uint32_t descriptors);
  // The frame as it is written: with its FCS unless that is stripped.
  std::span<const uint8_t> OnBus(std::span<const uint8_t> frame);
  bool WriteFrame(std::span<const uint8_t> frame, const RssResult& rss,
                  uint32_t descriptors);
  bool WriteBack(uint32_t length, bool last, std::span<const uint8_t> frame,
                 const RssResult& rss);
  uint32_t ChecksumStatus(std::span<const uint8_t> frame) const;
  // Ends the accounting of one frame.
  void Account(std::atomic<uint64_t>& counter);

  intel::RegisterFile& regs_;
  DmaMap& dma_;
  Interrupts& interrupts_;
  intel::Statistics& statistics_;
  PortCounters& counters_;
  const Faults& faults_;
  Rss rss_;
  bool enabled_ = false;
  uint32_t delivered_ = 0;  // Since EndBatch: a bit for each queue.
  bool missed_ = false;     // Since EndBatch.
  uint64_t frames_done_ = 0;
  FrameFifo fifo_;
  std::array<uint8_t, kMaxFrameBytes + 4> scratch_;  // Padded, or with FCS.
};

}  // namespace bulkhead::nic_model::i82576

#endif  // BULKHEAD_NIC_MODEL_82576_RECEIVER_H_
