// The Internet checksum: whole (RFC 1071), and what changes of it when a part
// of what it covers does (RFC 1624).
#ifndef BULKHEAD_NIC_ROUTER_PACKET_CHECKSUM_H_
#define BULKHEAD_NIC_ROUTER_PACKET_CHECKSUM_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "nic_router/config.h"

namespace bulkhead::nic_router {

inline uint16_t FoldSum(uint64_t sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

// One's complement sum of 16-bit words, over pieces of any length.
class ChecksumSum {
 public:
  void Add(std::span<const uint8_t> bytes);
  void Add32(uint32_t value) { sum_ += (value >> 16) + (value & 0xffff); }
  void Add16(uint16_t value) { sum_ += value; }
  void AddIpv6(const Ipv6Address& address) { Add(address); }

  uint16_t Folded() const { return FoldSum(sum_); }
  // What goes into a header whose checksum field was added as 0.
  uint16_t Checksum() const { return static_cast<uint16_t>(~Folded()); }
  // For UDP (and TCP, where it says the same): 0 would mean "none".
  uint16_t NonZeroChecksum() const {
    const uint16_t checksum = Checksum();
    return checksum == 0 ? 0xffff : checksum;
  }
  // The covered bytes, checksum field and all, were added.
  bool Good() const { return Folded() == 0xffff; }

 private:
  uint64_t sum_ = 0;
  bool odd_ = false;
};

// Starts the sum of a TCP, UDP or ICMPv6 message: its pseudo header.
ChecksumSum PseudoHeader4(Ipv4Address source, Ipv4Address destination,
                          uint8_t protocol, uint16_t bytes);
ChecksumSum PseudoHeader6(const Ipv6Address& source,
                          const Ipv6Address& destination, uint8_t protocol,
                          uint32_t bytes);

// The difference that replacements make; may be applied to any number of
// checksums that cover them (RFC 1624 equation 3: HC' = ~(~HC + ~m + m')).
class ChecksumDelta {
 public:
  void Replace16(uint16_t from, uint16_t to) {
    sum_ += static_cast<uint16_t>(~from);
    sum_ += to;
  }
  void Replace32(uint32_t from, uint32_t to) {
    Replace16(static_cast<uint16_t>(from >> 16),
              static_cast<uint16_t>(to >> 16));
    Replace16(static_cast<uint16_t>(from), static_cast<uint16_t>(to));
  }
  uint16_t Apply(uint16_t checksum) const {
    return static_cast<uint16_t>(
        ~FoldSum(sum_ + static_cast<uint16_t>(~checksum)));
  }
  // UDP: no checksum stays none, and none comes to be that was one.
  uint16_t ApplyUdp(uint16_t checksum) const {
    if (checksum == 0) return 0;
    const uint16_t applied = Apply(checksum);
    return applied == 0 ? 0xffff : applied;
  }

 private:
  uint64_t sum_ = 0;
};

}  // namespace bulkhead::nic_router

#endif  // BULKHEAD_NIC_ROUTER_PACKET_CHECKSUM_H_
