#include "nic_router/ipv6/nd_message.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "nic_router/ipv6/nd_frame.h"
#include "nic_router/packet/checksum.h"
#include "nic_router/packet/ethernet.h"
#include "nic_router/packet/ipv4.h"
#include "nic_router/packet/ipv6.h"

namespace bulkhead::nic_router::ipv6 {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr Ipv6Address kHost = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0,
                               0,    0,    0,    0,    0, 0, 0, 7};
constexpr Ipv6Address kTarget = {0x20, 0x01, 0x0d, 0xb8, 0, 0,    0,    0,
                                 0,    0,    0,    0,    0, 0x11, 0x22, 0x33};

// A packet with these addresses and this message.
Bytes Packet(const Ipv6Address& from, const Ipv6Address& to,
             const Bytes& message) {
  Bytes packet(kIpv6Bytes + message.size());
  WriteIpv6(packet,
            {.source = from,
             .destination = to,
             .next_header = kProtocolIcmp6,
             .hop_limit = kNdHopLimit},
            message.size());
  std::copy(message.begin(), message.end(), packet.begin() + kIpv6Bytes);
  return packet;
}

NdError Parse(const Bytes& packet) {
  NdMessage message;
  return ParseNdMessage(packet, kIpv6Bytes, packet.size() - kIpv6Bytes,
                        message);
}

Bytes Solicitation(const Bytes& options = {}) {
  Bytes message = {135, 0, 0, 0, 0, 0, 0, 0};
  message.insert(message.end(), kTarget.begin(), kTarget.end());
  message.insert(message.end(), options.begin(), options.end());
  return message;
}

// The derived addresses, against the RFCs' own examples.
TEST(NdMessage, DerivedAddresses) {
  const Ipv6Address group = SolicitedNode(kTarget);
  EXPECT_EQ(group, (Ipv6Address{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff,
                                0x11, 0x22, 0x33}));
  EXPECT_EQ(MulticastMac(group),
            (MacAddress{0x33, 0x33, 0xff, 0x11, 0x22, 0x33}));
  EXPECT_EQ(LinkLocal({0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde}),
            (Ipv6Address{0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0x36, 0x56, 0x78, 0xff,
                         0xfe, 0x9a, 0xbc, 0xde}));
}

// What is written has a good checksum and is read as it was meant.
TEST(NdMessage, WrittenFramesAreGood) {
  const NdRoute route = {.from_mac = {2, 0, 0, 0, 0, 1},
                         .to_mac = {2, 0, 0, 0, 0, 2},
                         .from = kHost,
                         .to = SolicitedNode(kTarget)};
  const auto read = [](const NdFrame& frame) {
    const auto packet = frame.frame().subspan(kEthernetBytes);
    const auto view = Ipv6View::In(packet);
    ChecksumSum sum = PseudoHeader6(view->source(), view->destination(),
                                    kProtocolIcmp6, view->payload_bytes());
    sum.Add(packet.subspan(kIpv6Bytes));
    EXPECT_TRUE(sum.Good());
    EXPECT_EQ(view->payload_bytes(), packet.size() - kIpv6Bytes);
    NdMessage message;
    EXPECT_EQ(
        ParseNdMessage(packet, kIpv6Bytes, packet.size() - kIpv6Bytes, message),
        NdError::kNone);
    return message;
  };
  NdFrame frame;
  WriteSolicitation(route, kTarget, frame);
  NdMessage message = read(frame);
  EXPECT_EQ(message.type, NdType::kNeighbourSolicitation);
  EXPECT_EQ(message.target, kTarget);
  EXPECT_EQ(message.source_mac, route.from_mac);

  NdRoute back = route;
  back.to = kHost;
  WriteAdvertisement(back, kTarget, true, frame);
  message = read(frame);
  EXPECT_EQ(message.type, NdType::kNeighbourAdvertisement);
  EXPECT_TRUE(message.from_router && message.solicited &&
              message.override_entry);
  EXPECT_EQ(message.target_mac, route.from_mac);

  back.from = LinkLocal(route.from_mac);
  WriteRouterAdvertisement(back,
                           {.prefix = {kTarget, 64},
                            .router_lifetime_s = 1800,
                            .valid_s = 5,
                            .preferred_s = 4,
                            .mtu = 1500},
                           frame);
  EXPECT_EQ(read(frame).type, NdType::kRouterAdvertisement);
  // The prefix option, behind the MTU's: on-link and autonomous, no host bits.
  const auto option = frame.frame().last(32);
  EXPECT_EQ(option[2], 64);
  EXPECT_EQ(option[3], 0xc0);
  EXPECT_EQ(option[16], 0x20);
  EXPECT_EQ(option[31], 0);
  WriteRouterAdvertisement(back, {.prefix = {kTarget, 121}}, frame);
  EXPECT_EQ(frame.frame().last(32)[3], 0x80);
  EXPECT_EQ(frame.frame().last(1)[0], 0x00);
}

// What the RFC's validation refuses, each for its reason.
TEST(NdMessage, S7_HostileMessages) {
  const Ipv6Address none = {};
  const Ipv6Address group = SolicitedNode(kTarget);
  const Bytes good = Packet(kHost, group, Solicitation());
  EXPECT_EQ(Parse(good), NdError::kNone);

  Bytes packet = good;
  packet[7] = 254;
  EXPECT_EQ(Parse(packet), NdError::kHopLimit);
  packet = good;
  packet[kIpv6Bytes + 1] = 1;
  EXPECT_EQ(Parse(packet), NdError::kType);
  packet = good;
  packet[kIpv6Bytes] = 137;
  EXPECT_EQ(Parse(packet), NdError::kType);
  for (size_t size = 0; size < 24; ++size) {
    EXPECT_EQ(Parse(Bytes(good.begin(), good.begin() + kIpv6Bytes + size)),
              NdError::kTruncated);
  }
  NdMessage message;
  EXPECT_EQ(ParseNdMessage(good, kIpv6Bytes, 25, message), NdError::kTruncated);
  EXPECT_EQ(ParseNdMessage(good, 1000, 24, message), NdError::kTruncated);

  const struct {
    const char* what;
    Bytes options;
    NdError expected;
  } options[] = {
      {"length 0", {1, 0, 2, 0, 0, 0, 0, 7}, NdError::kOption},
      {"half an option", {1, 1, 2, 0}, NdError::kOption},
      {"past the end", {14, 2, 2, 0, 0, 0, 0, 7}, NdError::kOption},
      {"a MAC of 14 bytes",
       {1, 2, 2, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0},
       NdError::kOption},
      {"unknown", {99, 1, 2, 0, 0, 0, 0, 7}, NdError::kNone},
      {"MAC", {1, 1, 2, 0, 0, 0, 0, 7}, NdError::kNone},
  };
  for (const auto& c : options) {
    EXPECT_EQ(Parse(Packet(kHost, group, Solicitation(c.options))), c.expected)
        << c.what;
  }
  Bytes bomb;
  for (int i = 0; i < 8000; ++i)
    bomb.insert(bomb.end(), {1, 1, 2, 0, 0, 0, 0, 7});
  EXPECT_EQ(Parse(Packet(kHost, group, Solicitation(bomb))), NdError::kNone);

  // Addresses.
  EXPECT_EQ(Parse(Packet(group, group, Solicitation())), NdError::kAddress);
  EXPECT_EQ(Parse(Packet(none, kTarget, Solicitation())), NdError::kAddress);
  EXPECT_EQ(Parse(Packet(none, group, Solicitation())), NdError::kNone);
  EXPECT_EQ(Parse(Packet(none, group, Solicitation({1, 1, 2, 0, 0, 0, 0, 7}))),
            NdError::kAddress);
  Bytes multicast_target = Solicitation();
  multicast_target[8] = 0xff;
  EXPECT_EQ(Parse(Packet(kHost, group, multicast_target)), NdError::kAddress);
  Bytes advertisement = Solicitation();
  advertisement[0] = 136;
  EXPECT_EQ(Parse(Packet(kHost, kAllNodes, advertisement)), NdError::kNone);
  EXPECT_EQ(Parse(Packet(none, kAllNodes, advertisement)), NdError::kAddress);
  advertisement[4] = 0x40;  // Solicited, yet to all.
  EXPECT_EQ(Parse(Packet(kHost, kAllNodes, advertisement)), NdError::kAddress);
  EXPECT_EQ(
      Parse(Packet(kHost, kAllNodes,
                   Bytes{134, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})),
      NdError::kAddress);  // Not from a link-local address.
}

}  // namespace
}  // namespace bulkhead::nic_router::ipv6
