// A neighbour discovery message (RFC 4861 4) as values.
//
// Guarantees (S7): ParseNdMessage reads nothing outside of what it is given,
// and accepts what the RFC's validation sections (6.1, 7.1) do, no more.
#ifndef BULKHEAD_NIC_ROUTER_IPV6_ND_MESSAGE_H_
#define BULKHEAD_NIC_ROUTER_IPV6_ND_MESSAGE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "nic_router/config.h"

namespace bulkhead::nic_router::ipv6 {

enum class NdType : uint8_t {
  kRouterSolicitation = 133,
  kRouterAdvertisement = 134,
  kNeighbourSolicitation = 135,
  kNeighbourAdvertisement = 136,
};

constexpr uint8_t kNdHopLimit = 255;  // Nobody behind a router sends these.

struct NdMessage {
  NdType type = NdType::kRouterSolicitation;
  Ipv6Address source{};
  Ipv6Address destination{};
  Ipv6Address target{};  // Of a neighbour message.
  // Of an advertisement.
  bool from_router = false;
  bool solicited = false;
  bool override_entry = false;
  std::optional<MacAddress> source_mac;  // Options 1 and 2.
  std::optional<MacAddress> target_mac;
};

enum class NdError : uint8_t {
  kNone,
  kTruncated,
  kHopLimit,
  kType,     // None of the four, or a code that is not 0.
  kOption,   // Of length 0, or past the end.
  kAddress,  // A source, destination or target that its type forbids.
};

// `packet` is an IPv6 packet whose ICMPv6 message has `message_bytes` bytes
// from `message_offset` on, within it; the checksum was checked.
[[nodiscard]] NdError ParseNdMessage(std::span<const uint8_t> packet,
                                     size_t message_offset,
                                     size_t message_bytes, NdMessage& out);

// The multicast group in which whoever has `address` listens: RFC 4291 2.7.1.
Ipv6Address SolicitedNode(const Ipv6Address& address);
// Where frames to a multicast group go: RFC 2464 7.
MacAddress MulticastMac(const Ipv6Address& group);
// fe80::/64 with the modified EUI-64 of the MAC: RFC 4291 appendix A.
Ipv6Address LinkLocal(const MacAddress& mac);

}  // namespace bulkhead::nic_router::ipv6

#endif  // BULKHEAD_NIC_ROUTER_IPV6_ND_MESSAGE_H_
