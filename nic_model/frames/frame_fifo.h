// The receive half of a packet buffer: frames that wait for a descriptor.
#ifndef BULKHEAD_NIC_MODEL_FRAMES_FRAME_FIFO_H_
#define BULKHEAD_NIC_MODEL_FRAMES_FRAME_FIFO_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "nic_model/network/network.h"

namespace bulkhead::nic_model {

class FrameFifo {
 public:
  // As much as the 82574 has (datasheet 10.2.2.27).
  static constexpr size_t kMaxBytes = 40 * 1024;

  void set_capacity(size_t bytes) {
    capacity_ = bytes < kMaxBytes ? bytes : kMaxBytes;
  }

  // False: the frame does not fit.
  [[nodiscard]] bool Push(std::span<const uint8_t> frame);
  // Valid until the next Pop or Push. Requires: not empty.
  std::span<const uint8_t> Front();
  void Pop();
  // Returns how many frames were thrown away.
  size_t Clear();

  size_t frames() const { return frames_; }
  size_t bytes() const { return used_; }

 private:
  static constexpr size_t kLengthBytes = 2;

  void CopyIn(const uint8_t* data, size_t bytes);
  void CopyOut(size_t at, uint8_t* data, size_t bytes) const;

  std::array<uint8_t, kMaxBytes> ring_;
  std::array<uint8_t, kMaxFrameBytes> front_;
  size_t capacity_ = kMaxBytes / 2;
  size_t begin_ = 0;
  size_t used_ = 0;
  size_t frames_ = 0;
  size_t front_bytes_ = 0;  // 0: front_ holds nothing.
};

}  // namespace bulkhead::nic_model

#endif  // BULKHEAD_NIC_MODEL_FRAMES_FRAME_FIFO_H_
