// The transmit ring of a packet socket: slots of one frame each, which the
// kernel takes in order when it is told to, and gives back once a frame has
// left.
#ifndef BULKHEAD_NIC_DRIVER_AF_PACKET_TX_FRAMES_H_
#define BULKHEAD_NIC_DRIVER_AF_PACKET_TX_FRAMES_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "nic_driver/framework/driver.h"

namespace bulkhead::nic_driver {

// Threading: one thread.
class TxFrames {
 public:
  // `slots` is a power of two. At most `pieces`, another one, are under way.
  TxFrames(std::span<uint8_t> ring, uint32_t slot_bytes, uint32_t slots,
           uint32_t pieces);

  size_t Room() const { return slots_ - (frame_tail_ - frame_head_); }
  // Copies one frame, whose pieces lie in `data`, into the next slot. The frame
  // is at most Longest() bytes. Requires Room().
  void Put(std::span<const TxPiece> frame, std::span<const uint8_t> data);
  uint32_t Longest() const;
  // Frames that the kernel was not yet seen to take.
  bool Untaken() const;
  // The kernel will not take them: they are bad.
  void Cancel();
  // Takes pieces of frames that have left, oldest first, whole frames.
  size_t Reap(std::span<TxDone> out);

 private:
  struct Frame {
    uint32_t slot = 0;
    uint32_t pieces = 0;
    bool cancelled = false;
  };

  uint8_t* Slot(uint32_t slot) const {
    return ring_.data() + size_t{slot} * slot_bytes_;
  }
  uint32_t StatusOf(uint32_t slot) const;
  void SetStatus(uint32_t slot, uint32_t status);
  Frame& At(uint32_t position) { return frames_[position & (slots_ - 1)]; }
  const Frame& At(uint32_t position) const {
    return frames_[position & (slots_ - 1)];
  }

  std::span<uint8_t> ring_;
  const uint32_t slot_bytes_;
  const uint32_t slots_;
  uint32_t slot_ = 0;  // The next to be filled.
  // Free-running positions in frames_ and pieces_.
  uint32_t frame_head_ = 0;
  uint32_t frame_tail_ = 0;
  uint32_t piece_head_ = 0;
  uint32_t piece_tail_ = 0;
  std::vector<Frame> frames_;
  std::vector<TxDone> pieces_;
};

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_AF_PACKET_TX_FRAMES_H_
