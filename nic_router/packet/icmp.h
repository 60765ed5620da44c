// ICMP (RFC 792) and ICMPv6 (RFC 4443): the header that both share.
#ifndef BULKHEAD_NIC_ROUTER_PACKET_ICMP_H_
#define BULKHEAD_NIC_ROUTER_PACKET_ICMP_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "nic_router/packet/bytes.h"

namespace bulkhead::nic_router {

constexpr size_t kIcmpBytes = 8;
constexpr size_t kIcmpChecksumOffset = 2;
constexpr size_t kIcmpIdOffset = 4;

enum Icmp4Type : uint8_t {
  kIcmpEchoReply = 0,
  kIcmpUnreachable = 3,
  kIcmpEchoRequest = 8,
  kIcmpTimeExceeded = 11,
  kIcmpParameterProblem = 12,
};
enum Icmp4Code : uint8_t {
  kIcmpNetUnreachable = 0,
  kIcmpHostUnreachable = 1,
  kIcmpPortUnreachable = 3,
  kIcmpFragmentationNeeded = 4,
  kIcmpAdminProhibited = 13,
};
enum Icmp6Type : uint8_t {
  kIcmp6Unreachable = 1,
  kIcmp6PacketTooBig = 2,
  kIcmp6TimeExceeded = 3,
  kIcmp6ParameterProblem = 4,
  kIcmp6EchoRequest = 128,
  kIcmp6EchoReply = 129,
  kIcmp6RouterSolicitation = 133,
  kIcmp6NeighbourAdvertisement = 136,
};
enum Icmp6Code : uint8_t {
  kIcmp6NoRoute = 0,
  kIcmp6AdminProhibited = 1,
  kIcmp6AddressUnreachable = 3,
  kIcmp6PortUnreachable = 4,
};

template <typename Byte>
class BasicIcmp {
 public:
  static std::optional<BasicIcmp> In(std::span<Byte> bytes) {
    if (bytes.size() < kIcmpBytes) return std::nullopt;
    return BasicIcmp(bytes.data());
  }
  uint8_t type() const { return at_[0]; }
  uint8_t code() const { return at_[1]; }
  uint16_t checksum() const { return Load16(at_ + kIcmpChecksumOffset); }
  uint16_t id() const { return Load16(at_ + kIcmpIdOffset); }
  uint16_t sequence() const { return Load16(at_ + 6); }

  void set_type(uint8_t type) { at_[0] = type; }
  void set_code(uint8_t code) { at_[1] = code; }
  void set_checksum(uint16_t sum) { Store16(at_ + kIcmpChecksumOffset, sum); }
  void set_rest(uint32_t rest) { Store32(at_ + kIcmpIdOffset, rest); }

 private:
  explicit BasicIcmp(Byte* at) : at_(at) {}
  Byte* at_;
};
using IcmpView = BasicIcmp<const uint8_t>;
using IcmpWriter = BasicIcmp<uint8_t>;

}  // namespace bulkhead::nic_router

#endif  // BULKHEAD_NIC_ROUTER_PACKET_ICMP_H_
