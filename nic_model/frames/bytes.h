// Fields of frames, most significant byte first.
#ifndef BULKHEAD_NIC_MODEL_FRAMES_BYTES_H_
#define BULKHEAD_NIC_MODEL_FRAMES_BYTES_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace bulkhead::nic_model {

// Requires: at + 2 <= bytes.size().
inline uint16_t Load16(std::span<const uint8_t> bytes, size_t at) {
  return static_cast<uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}
// Of `value`, the lower sixteen bits.
inline void Store16(std::span<uint8_t> bytes, size_t at, size_t value) {
  bytes[at] = static_cast<uint8_t>(value >> 8);
  bytes[at + 1] = static_cast<uint8_t>(value);
}

}  // namespace bulkhead::nic_model

#endif  // BULKHEAD_NIC_MODEL_FRAMES_BYTES_H_
