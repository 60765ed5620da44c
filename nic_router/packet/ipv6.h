// IPv6 (RFC 8200) and its extension headers.
#ifndef BULKHEAD_NIC_ROUTER_PACKET_IPV6_H_
#define BULKHEAD_NIC_ROUTER_PACKET_IPV6_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "nic_router/packet/bytes.h"

namespace bulkhead::nic_router {

constexpr size_t kIpv6Bytes = 40;

template <typename Byte>
class BasicIpv6 {
 public:
  static std::optional<BasicIpv6> In(std::span<Byte> bytes) {
    if (bytes.size() < kIpv6Bytes || bytes[0] >> 4 != 6) return std::nullopt;
    return BasicIpv6(bytes.data());
  }
  uint16_t payload_bytes() const { return Load16(at_ + 4); }
  uint8_t next_header() const { return at_[6]; }
  uint8_t hop_limit() const { return at_[7]; }
  Ipv6Address source() const { return LoadIpv6(at_ + 8); }
  Ipv6Address destination() const { return LoadIpv6(at_ + 24); }

  void set_hop_limit(uint8_t limit) { at_[7] = limit; }

 private:
  explicit BasicIpv6(Byte* at) : at_(at) {}
  Byte* at_;
};
using Ipv6View = BasicIpv6<const uint8_t>;
using Ipv6Writer = BasicIpv6<uint8_t>;

inline bool IsMulticast(const Ipv6Address& address) {
  return address[0] == 0xff;
}
inline bool IsLinkLocal(const Ipv6Address& address) {
  return address[0] == 0xfe && (address[1] & 0xc0) == 0x80;
}
inline bool IsUnspecified(const Ipv6Address& address) {
  return address == Ipv6Address{};
}

// Where the upper layer begins.
struct Ipv6Upper {
  size_t offset = 0;     // From the start of the IPv6 header.
  uint8_t protocol = 0;  // 59: nothing follows.
  bool fragment = false;
  uint32_t fragment_offset = 0;  // Bytes.
  bool more_fragments = false;
  uint32_t fragment_id = 0;
};
enum class Ipv6Chain : uint8_t {
  kGood,
  kTruncated,  // A header ends behind `bytes`.
  kForbidden,  // A type 0 routing header (RFC 5095), hop-by-hop options that
               // are not first, two fragment headers.
  kTooLong,    // More headers than kMaxIpv6Extensions.
};
constexpr int kMaxIpv6Extensions = 8;
// `bytes` start at the IPv6 header, which In has accepted.
Ipv6Chain WalkIpv6Extensions(std::span<const uint8_t> bytes, Ipv6Upper& out);

struct Ipv6Fields {
  Ipv6Address source{};
  Ipv6Address destination{};
  uint8_t next_header = 0;
  uint8_t hop_limit = 64;
};
// Writes a header of kIpv6Bytes for so many bytes of payload.
void WriteIpv6(std::span<uint8_t> bytes, const Ipv6Fields& fields,
               size_t payload_bytes);

}  // namespace bulkhead::nic_router

#endif  // BULKHEAD_NIC_ROUTER_PACKET_IPV6_H_
