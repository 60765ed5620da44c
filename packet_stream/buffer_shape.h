// Which buffer a descriptor points into, and whether it stays inside.
#ifndef BULKHEAD_PACKET_STREAM_BUFFER_SHAPE_H_
#define BULKHEAD_PACKET_STREAM_BUFFER_SHAPE_H_

#include <bit>
#include <cstdint>

namespace bulkhead::packet_stream {

// The buffers of one data area.
// Requires: both powers of two, and their product below 4 GiB (CheckGeometry).
class BufferShape {
 public:
  BufferShape() = default;
  BufferShape(uint32_t count, uint32_t buffer_bytes)
      : count_(count),
        byte_mask_(buffer_bytes - 1),
        shift_(static_cast<uint32_t>(std::countr_zero(buffer_bytes))) {}

  uint32_t count() const { return count_; }
  uint32_t buffer_bytes() const { return byte_mask_ + 1; }
  uint32_t BufferOf(uint32_t offset) const { return offset >> shift_; }
  uint32_t OffsetOf(uint32_t buffer) const { return buffer << shift_; }

  // True if the piece has at least one byte and lies in one buffer of the area.
  // No sum that could wrap is formed (S7): a length of 0 becomes 2³² - 1, and
  // the room left in a buffer is at least 1.
  bool Contains(uint32_t offset, uint16_t length) const {
    const uint32_t room = byte_mask_ + 1 - (offset & byte_mask_);
    return BufferOf(offset) < count_ && uint32_t{length} - 1 < room;
  }

 private:
  uint32_t count_ = 0;
  uint32_t byte_mask_ = 0;
  uint32_t shift_ = 0;
};

}  // namespace bulkhead::packet_stream

#endif  // BULKHEAD_PACKET_STREAM_BUFFER_SHAPE_H_
