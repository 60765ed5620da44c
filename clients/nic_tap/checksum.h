// The Internet checksum (RFC 1071).
#ifndef BULKHEAD_CLIENTS_NIC_TAP_CHECKSUM_H_
#define BULKHEAD_CLIENTS_NIC_TAP_CHECKSUM_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace bulkhead::nic_tap {

inline uint16_t Load16(const uint8_t* at) {
  return static_cast<uint16_t>(at[0] << 8 | at[1]);
}
inline void Store16(uint8_t* at, uint32_t value) {
  at[0] = static_cast<uint8_t>(value >> 8);
  at[1] = static_cast<uint8_t>(value);
}
inline uint32_t Load32(const uint8_t* at) {
  return uint32_t{Load16(at)} << 16 | Load16(at + 2);
}
inline void Store32(uint8_t* at, uint32_t value) {
  Store16(at, value >> 16);
  Store16(at + 2, value);
}

// One's complement sum of 16-bit words, over pieces of any length.
class ChecksumSum {
 public:
  void Add(std::span<const uint8_t> bytes) {
    for (const uint8_t byte : bytes) {
      sum_ += odd_ ? byte : uint64_t{byte} << 8;
      odd_ = !odd_;
    }
  }
  void AddWord(uint32_t value) { sum_ += (value >> 16) + (value & 0xffff); }
  uint16_t Folded() const {
    uint64_t sum = sum_;
    while (sum > 0xffff) sum = (sum >> 16) + (sum & 0xffff);
    return static_cast<uint16_t>(sum);
  }
  // What goes into the header. Not 0, which means "none" in UDP.
  uint16_t Checksum() const {
    const auto sum = static_cast<uint16_t>(~Folded());
    return sum == 0 ? 0xffff : sum;
  }

 private:
  uint64_t sum_ = 0;
  bool odd_ = false;
};

}  // namespace bulkhead::nic_tap

#endif  // BULKHEAD_CLIENTS_NIC_TAP_CHECKSUM_H_
