#include "nic_router/ipv6/nd_message.h"

#include <algorithm>

#include "nic_router/packet/bytes.h"
#include "nic_router/packet/ipv6.h"

namespace bulkhead::nic_router::ipv6 {
namespace {

constexpr size_t kSolicitationBytes = 8;    // RFC 4861 4.1
constexpr size_t kAdvertisementBytes = 16;  // 4.2
constexpr size_t kNeighbourBytes = 24;      // 4.3, 4.4
constexpr size_t kTargetAt = 8;
constexpr uint8_t kRouterFlag = 0x80;
constexpr uint8_t kSolicitedFlag = 0x40;
constexpr uint8_t kOverrideFlag = 0x20;
constexpr uint8_t kSourceMacOption = 1;
constexpr uint8_t kTargetMacOption = 2;

// 0: no such type.
size_t FixedBytes(uint8_t type) {
  switch (static_cast<NdType>(type)) {
    case NdType::kRouterSolicitation:
      return kSolicitationBytes;
    case NdType::kRouterAdvertisement:
      return kAdvertisementBytes;
    case NdType::kNeighbourSolicitation:
    case NdType::kNeighbourAdvertisement:
      return kNeighbourBytes;
  }
  return 0;
}

// RFC 4861 4.6: type, length in units of 8 bytes. The first MAC counts.
NdError ReadOptions(std::span<const uint8_t> options, NdMessage& out) {
  while (!options.empty()) {
    if (options.size() < 8) return NdError::kOption;
    const size_t bytes = options[1] * 8u;
    if (bytes == 0 || bytes > options.size()) return NdError::kOption;
    const uint8_t type = options[0];
    if (type == kSourceMacOption || type == kTargetMacOption) {
      if (bytes != 8) return NdError::kOption;
      auto& mac = type == kSourceMacOption ? out.source_mac : out.target_mac;
      if (!mac) mac = LoadMac(&options[2]);
    }
    options = options.subspan(bytes);
  }
  return NdError::kNone;
}

// What the validation sections say about addresses: 6.1.1, 6.1.2, 7.1.1, 7.1.2.
bool AddressesAreGood(const NdMessage& message) {
  if (IsMulticast(message.source)) return false;
  const bool unspecified = IsUnspecified(message.source);
  switch (message.type) {
    case NdType::kRouterSolicitation:
      return !unspecified || !message.source_mac;
    case NdType::kRouterAdvertisement:
      return IsLinkLocal(message.source);
    case NdType::kNeighbourSolicitation:
      if (IsMulticast(message.target) || IsUnspecified(message.target)) {
        return false;
      }
      return !unspecified ||
             (message.destination == SolicitedNode(message.target) &&
              !message.source_mac);
    case NdType::kNeighbourAdvertisement:
      return !unspecified && !IsMulticast(message.target) &&
             !IsUnspecified(message.target) &&
             !(message.solicited && IsMulticast(message.destination));
  }
  return false;
}

}  // namespace

NdError ParseNdMessage(std::span<const uint8_t> packet, size_t message_offset,
                       size_t message_bytes, NdMessage& out) {
  const auto header = Ipv6View::In(packet);
  if (!header || message_offset > packet.size() ||
      message_bytes > packet.size() - message_offset || message_bytes < 4) {
    return NdError::kTruncated;
  }
  const auto message = packet.subspan(message_offset, message_bytes);
  if (header->hop_limit() != kNdHopLimit) return NdError::kHopLimit;
  const size_t fixed_bytes = FixedBytes(message[0]);
  if (fixed_bytes == 0 || message[1] != 0) return NdError::kType;
  if (message.size() < fixed_bytes) return NdError::kTruncated;

  out = NdMessage();
  out.type = static_cast<NdType>(message[0]);
  out.source = header->source();
  out.destination = header->destination();
  if (fixed_bytes == kNeighbourBytes)
    out.target = LoadIpv6(&message[kTargetAt]);
  if (out.type == NdType::kNeighbourAdvertisement) {
    out.from_router = (message[4] & kRouterFlag) != 0;
    out.solicited = (message[4] & kSolicitedFlag) != 0;
    out.override_entry = (message[4] & kOverrideFlag) != 0;
  }
  const NdError error = ReadOptions(message.subspan(fixed_bytes), out);
  if (error != NdError::kNone) return error;
  return AddressesAreGood(out) ? NdError::kNone : NdError::kAddress;
}

Ipv6Address SolicitedNode(const Ipv6Address& address) {
  Ipv6Address group = {0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01, 0xff};
  std::copy(address.begin() + 13, address.end(), group.begin() + 13);
  return group;
}

MacAddress MulticastMac(const Ipv6Address& group) {
  return {0x33, 0x33, group[12], group[13], group[14], group[15]};
}

Ipv6Address LinkLocal(const MacAddress& mac) {
  Ipv6Address address = {0xfe, 0x80};
  address[8] = mac[0] ^ 0x02;
  address[9] = mac[1];
  address[10] = mac[2];
  address[11] = 0xff;
  address[12] = 0xfe;
  std::copy(mac.begin() + 3, mac.end(), address.begin() + 13);
  return address;
}

}  // namespace bulkhead::nic_router::ipv6
