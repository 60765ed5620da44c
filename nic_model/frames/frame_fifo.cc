#include "nic_model/frames/frame_fifo.h"

#include <algorithm>
#include <cstring>

namespace bulkhead::nic_model {

void FrameFifo::CopyIn(const uint8_t* data, size_t bytes) {
  const size_t end = (begin_ + used_) % kMaxBytes;
  const size_t first = std::min(bytes, kMaxBytes - end);
  std::memcpy(ring_.data() + end, data, first);
  std::memcpy(ring_.data(), data + first, bytes - first);
  used_ += bytes;
}

void FrameFifo::CopyOut(size_t at, uint8_t* data, size_t bytes) const {
  at %= kMaxBytes;
  const size_t first = std::min(bytes, kMaxBytes - at);
  std::memcpy(data, ring_.data() + at, first);
  std::memcpy(data + first, ring_.data(), bytes - first);
}

bool FrameFifo::Push(std::span<const uint8_t> frame) {
  if (frame.empty() || frame.size() > kMaxFrameBytes ||
      used_ + kLengthBytes + frame.size() > capacity_) {
    return false;
  }
  const auto length = static_cast<uint16_t>(frame.size());
  CopyIn(reinterpret_cast<const uint8_t*>(&length), kLengthBytes);
  CopyIn(frame.data(), frame.size());
  ++frames_;
  return true;
}

std::span<const uint8_t> FrameFifo::Front() {
  if (front_bytes_ == 0) {
    uint16_t length;
    CopyOut(begin_, reinterpret_cast<uint8_t*>(&length), kLengthBytes);
    CopyOut(begin_ + kLengthBytes, front_.data(), length);
    front_bytes_ = length;
  }
  return std::span(front_).first(front_bytes_);
}

void FrameFifo::Pop() {
  const size_t bytes = kLengthBytes + Front().size();
  begin_ = (begin_ + bytes) % kMaxBytes;
  used_ -= bytes;
  --frames_;
  front_bytes_ = 0;
}

size_t FrameFifo::Clear() {
  const size_t thrown = frames_;
  begin_ = used_ = frames_ = front_bytes_ = 0;
  return thrown;
}

}  // namespace bulkhead::nic_model
