#include "nic_router/ipv6/nd_frame.h"

#include <algorithm>

#include "nic_router/ipv6/nd_message.h"
#include "nic_router/packet/checksum.h"
#include "nic_router/packet/ethernet.h"
#include "nic_router/packet/icmp.h"
#include "nic_router/packet/ipv4.h"
#include "nic_router/packet/ipv6.h"

namespace bulkhead::nic_router::ipv6 {
namespace {

constexpr size_t kMessageAt = kEthernetBytes + kIpv6Bytes;
constexpr uint8_t kRouterSolicitedOverride = 0xe0;  // RFC 4861 4.4
constexpr uint8_t kRouterOverride = 0xa0;
constexpr uint8_t kSourceMacOption = 1;  // 4.6
constexpr uint8_t kTargetMacOption = 2;
constexpr uint8_t kPrefixOption = 3;
constexpr uint8_t kMtuOption = 5;
constexpr uint8_t kOnLink = 0x80;  // 4.6.2
constexpr uint8_t kAutonomous = 0x40;
// A host takes an address of 64 bits of prefix and 64 of its own: RFC 4862
// 5.5.3 and RFC 2464 4.
constexpr uint8_t kSlaacBits = 64;
constexpr uint8_t kHostHopLimit = 64;

// Starts a message of a type; the rest of the frame is zeros.
uint8_t* Begin(NdType type, NdFrame& out) {
  out.bytes.fill(0);
  uint8_t* const message = &out.bytes[kMessageAt];
  message[0] = static_cast<uint8_t>(type);
  return message;
}

// Puts the headers around a message of so many bytes.
void End(const NdRoute& route, size_t message_bytes, NdFrame& out) {
  out.size = kMessageAt + message_bytes;
  const std::span<uint8_t> frame(out.bytes.data(), out.size);
  auto ethernet = EthernetWriter::In(frame);
  ethernet->set_destination(route.to_mac);
  ethernet->set_source(route.from_mac);
  ethernet->set_type(kEtherTypeIpv6);
  WriteIpv6(frame.subspan(kEthernetBytes),
            {.source = route.from,
             .destination = route.to,
             .next_header = kProtocolIcmp6,
             .hop_limit = kNdHopLimit},
            message_bytes);
  ChecksumSum sum = PseudoHeader6(route.from, route.to, kProtocolIcmp6,
                                  static_cast<uint32_t>(message_bytes));
  sum.Add(frame.subspan(kMessageAt));
  Store16(&frame[kMessageAt + kIcmpChecksumOffset], sum.Checksum());
}

void WriteMacOption(uint8_t* at, uint8_t type, const MacAddress& mac) {
  at[0] = type;
  at[1] = 1;
  StoreMac(at + 2, mac);
}

}  // namespace

void WriteSolicitation(const NdRoute& route, const Ipv6Address& target,
                       NdFrame& out) {
  uint8_t* const message = Begin(NdType::kNeighbourSolicitation, out);
  StoreIpv6(message + 8, target);
  WriteMacOption(message + 24, kSourceMacOption, route.from_mac);
  End(route, 32, out);
}

void WriteAdvertisement(const NdRoute& route, const Ipv6Address& target,
                        bool solicited, NdFrame& out) {
  uint8_t* const message = Begin(NdType::kNeighbourAdvertisement, out);
  message[4] = solicited ? kRouterSolicitedOverride : kRouterOverride;
  StoreIpv6(message + 8, target);
  WriteMacOption(message + 24, kTargetMacOption, route.from_mac);
  End(route, 32, out);
}

void WriteRouterAdvertisement(const NdRoute& route,
                              const RouterAdvertisement& advertisement,
                              NdFrame& out) {
  uint8_t* const message = Begin(NdType::kRouterAdvertisement, out);
  message[4] = kHostHopLimit;
  Store16(message + 6, advertisement.router_lifetime_s);
  WriteMacOption(message + 16, kSourceMacOption, route.from_mac);
  size_t at = 24;
  if (advertisement.mtu != 0) {
    message[at] = kMtuOption;
    message[at + 1] = 1;
    Store32(message + at + 4, advertisement.mtu);
    at += 8;
  }
  const uint8_t bits = advertisement.prefix.bits;
  message[at] = kPrefixOption;
  message[at + 1] = 4;
  message[at + 2] = bits;
  message[at + 3] = bits == kSlaacBits ? kOnLink | kAutonomous : kOnLink;
  Store32(message + at + 4, advertisement.valid_s);
  Store32(message + at + 8, advertisement.preferred_s);
  for (uint8_t i = 0; i < 16; ++i) {
    const int kept = std::clamp(bits - i * 8, 0, 8);
    message[at + 16 + i] =
        static_cast<uint8_t>(advertisement.prefix.address[i] & 0xff00 >> kept);
  }
  End(route, at + 32, out);
}

}  // namespace bulkhead::nic_router::ipv6
