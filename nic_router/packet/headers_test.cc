// Views refuse what does not fit, at every length, and read what writers write.
#include <gtest/gtest.h>

#include <vector>

#include "nic_router/packet/arp.h"
#include "nic_router/packet/ethernet.h"
#include "nic_router/packet/icmp.h"
#include "nic_router/packet/ipv4.h"
#include "nic_router/packet/ipv6.h"
#include "nic_router/packet/tcp.h"
#include "nic_router/packet/udp.h"

namespace bulkhead::nic_router {
namespace {

using Bytes = std::vector<uint8_t>;

// Every view needs its whole header.
TEST(Headers, S7_TruncatedOnesAreRefused) {
  for (size_t bytes = 0; bytes < 60; ++bytes) {
    Bytes data(bytes, 0);
    EXPECT_EQ(EthernetView::In(data).has_value(), bytes >= 14);
    EXPECT_EQ(UdpView::In(data).has_value(), bytes >= 8);
    EXPECT_EQ(IcmpView::In(data).has_value(), bytes >= 8);
    if (bytes > 0) data[0] = 0x45;
    EXPECT_EQ(Ipv4View::In(data).has_value(), bytes >= 20);
    if (bytes > 0) data[0] = 0x4f;
    EXPECT_EQ(Ipv4View::In(data).has_value(), bytes >= 60);
    if (bytes > 0) data[0] = 0x60;
    EXPECT_EQ(Ipv6View::In(data).has_value(), bytes >= 40);
    if (bytes > 12) data[12] = 0x50;
    EXPECT_EQ(TcpView::In(data).has_value(), bytes >= 20);
    if (bytes > 12) data[12] = 0xb0;
    EXPECT_EQ(TcpView::In(data).has_value(), bytes >= 44);
    Bytes arp(28);
    WriteArp(arp, {});
    arp.resize(bytes);
    EXPECT_EQ(ArpView::In(arp).has_value(), bytes >= 28);
  }
}

TEST(Headers, S7_LyingOnesAreRefused) {
  Bytes data(60, 0);
  for (int version = 0; version < 16; ++version) {
    data[0] = static_cast<uint8_t>(version << 4 | 5);
    EXPECT_EQ(Ipv4View::In(data).has_value(), version == 4);
    EXPECT_EQ(Ipv6View::In(data).has_value(), version == 6);
  }
  for (int words = 0; words < 16; ++words) {
    data[0] = static_cast<uint8_t>(0x40 | words);
    EXPECT_EQ(Ipv4View::In(data).has_value(), words >= 5);
    data[12] = static_cast<uint8_t>(words << 4);
    EXPECT_EQ(TcpView::In(data).has_value(), words >= 5);
  }
  Bytes arp(28);
  for (const size_t at : {0u, 2u, 4u, 5u}) {
    WriteArp(arp, {});
    arp[at] ^= 0x40;
    EXPECT_FALSE(ArpView::In(arp).has_value()) << at;
  }
}

TEST(Headers, Ipv4IsReadAsWritten) {
  Bytes data(20);
  WriteIpv4(data,
            {.source = 0x0a000102,
             .destination = 0xc0a80001,
             .protocol = kProtocolUdp,
             .ttl = 7},
            100);
  const auto ip = Ipv4View::In(data);
  ASSERT_TRUE(ip.has_value());
  EXPECT_TRUE(ip->GoodChecksum());
  EXPECT_EQ(ip->source(), 0x0a000102u);
  EXPECT_EQ(ip->destination(), 0xc0a80001u);
  EXPECT_EQ(ip->total_bytes(), 120);
  EXPECT_EQ(ip->ttl(), 7);
  data[8] = 8;
  EXPECT_FALSE(ip->GoodChecksum());
}

TEST(Headers, S7_Ipv4OptionBombs) {
  struct Case {
    const char* name;
    Bytes options;
    Ipv4Options expected;
  };
  const Case cases[] = {
      {"none", {}, Ipv4Options::kGood},
      {"only no-ops", Bytes(40, 1), Ipv4Options::kGood},
      {"end, then garbage", {0, 7, 0, 0}, Ipv4Options::kGood},
      {"router alert", {148, 4, 0, 0}, Ipv4Options::kGood},
      {"length 0 would never end", {7, 0, 1, 1}, Ipv4Options::kMalformed},
      {"length 1", {7, 1, 1, 1}, Ipv4Options::kMalformed},
      {"no length", {1, 1, 1, 7}, Ipv4Options::kMalformed},
      {"past the end", {7, 5, 1, 1}, Ipv4Options::kMalformed},
      {"loose source route", {131, 3, 4, 0}, Ipv4Options::kSourceRoute},
      {"strict source route", {1, 137, 3, 4}, Ipv4Options::kSourceRoute},
  };
  for (const Case& each : cases) {
    EXPECT_EQ(CheckIpv4Options(each.options), each.expected) << each.name;
  }
}

Bytes Chain(uint8_t first, std::vector<Bytes> extensions) {
  Bytes data(40);
  WriteIpv6(data, {.next_header = first}, 0);
  for (const Bytes& extension : extensions) {
    data.insert(data.end(), extension.begin(), extension.end());
  }
  return data;
}

TEST(Headers, S7_Ipv6ExtensionBombs) {
  const Bytes to_udp = {17, 0, 1, 4, 0, 0, 0, 0};
  const Bytes to_options = {60, 0, 1, 4, 0, 0, 0, 0};
  const Bytes to_hops = {0, 0, 1, 4, 0, 0, 0, 0};
  const Bytes routing_0 = {17, 0, 0, 0, 0, 0, 0, 0};
  const Bytes routing_2 = {17, 0, 2, 0, 0, 0, 0, 0};
  const Bytes later_fragment = {0, 0, 0x01, 0x01, 0, 0, 0, 9};
  const Bytes fragment_again = {44, 0, 0, 1, 0, 0, 0, 9};
  struct Case {
    const char* name;
    Bytes data;
    Ipv6Chain expected;
    size_t offset;
  };
  const Case cases[] = {
      {"none", Chain(17, {}), Ipv6Chain::kGood, 40},
      {"hop by hop", Chain(0, {to_udp}), Ipv6Chain::kGood, 48},
      {"truncated", Chain(0, {{17, 0, 1, 4}}), Ipv6Chain::kTruncated, 0},
      {"length lies", Chain(0, {{17, 9, 1, 4, 0, 0, 0, 0}}),
       Ipv6Chain::kTruncated, 0},
      {"hop by hop is not first", Chain(60, {to_hops, to_udp}),
       Ipv6Chain::kForbidden, 0},
      {"routing type 0", Chain(43, {routing_0}), Ipv6Chain::kForbidden, 0},
      {"routing type 2", Chain(43, {routing_2}), Ipv6Chain::kGood, 48},
      {"later fragment hides the rest", Chain(44, {later_fragment}),
       Ipv6Chain::kGood, 48},
      {"two fragment headers", Chain(44, {fragment_again, fragment_again}),
       Ipv6Chain::kForbidden, 0},
      {"a bomb", Chain(60, std::vector<Bytes>(12, to_options)),
       Ipv6Chain::kTooLong, 0},
  };
  for (const Case& each : cases) {
    Ipv6Upper upper;
    EXPECT_EQ(WalkIpv6Extensions(each.data, upper), each.expected) << each.name;
    if (each.expected == Ipv6Chain::kGood) {
      EXPECT_EQ(upper.offset, each.offset) << each.name;
    }
  }
}

}  // namespace
}  // namespace bulkhead::nic_router
