// IPv4 packets that are too long for their way out, and may be cut up: what
// leaves, put together as a receiver does, is the packet.
#include <algorithm>

#include "nic_router/engine/test_network.h"

namespace bulkhead::nic_router {
namespace {

Packet LongPacket(const Network& network, uint8_t protocol, size_t bytes) {
  Packet packet = network.FromAlice();
  packet.protocol = protocol;
  packet.payload.resize(bytes);
  for (size_t i = 0; i < bytes; ++i) {
    packet.payload[i] = static_cast<uint8_t>(i * 7);
  }
  return packet;
}

// Without DF, and perhaps as a fragment itself.
Bytes Cuttable(Bytes frame, uint16_t flags_and_offset = 0) {
  Store16(&frame[18], 4711);
  Store16(&frame[20], flags_and_offset);
  FixIpSum(frame);
  return frame;
}

// Checks what holds of each fragment, and joins their payloads behind the first
// one's headers.
Bytes Join(const std::vector<Bytes>& fragments, uint32_t mtu) {
  Bytes whole;
  uint32_t offset = 0;
  for (const Bytes& fragment : fragments) {
    const auto ip = *Ipv4View::In(std::span(fragment).subspan(14));
    EXPECT_LE(fragment.size(), 14 + mtu);
    EXPECT_EQ(ip.total_bytes(), fragment.size() - 14);
    EXPECT_TRUE(ip.GoodChecksum());
    EXPECT_EQ(ip.identification(), 4711);
    EXPECT_EQ(ip.ttl(), 63);
    EXPECT_EQ(ip.fragment_offset(), offset);
    EXPECT_EQ(ip.more_fragments(), &fragment != &fragments.back());
    if (whole.empty()) {
      whole = fragment;
    } else {
      whole.insert(whole.end(),
                   fragment.begin() + 14 + static_cast<long>(ip.header_bytes()),
                   fragment.end());
    }
    offset += static_cast<uint32_t>(ip.total_bytes() - ip.header_bytes());
  }
  Store16(&whole[16], static_cast<uint16_t>(whole.size() - 14));
  Store16(&whole[20], 0);
  FixIpSum(whole);
  return whole;
}

TEST(Fragmenting, PutTogetherItIsThePacket) {
  for (const uint8_t protocol : {kProtocolTcp, kProtocolUdp, kProtocolIcmp}) {
    for (const uint32_t mtu : {576u, 1400u, 1499u}) {
      for (const size_t piece_bytes : {65535, 100}) {
        Network network;
        network.SetMtu(mtu);
        const Packet packet = LongPacket(network, protocol, 1472);
        const auto out = network.Pass(network.alice, Cuttable(Make(packet)),
                                      network.nic0, piece_bytes);
        ASSERT_GT(out.size(), 1u);
        const Bytes whole = Join(out, mtu);
        EXPECT_TRUE(Read(whole).good_sums) << int{protocol} << " " << mtu;
        EXPECT_EQ(Read(whole).source, kUplinkRouter);
        EXPECT_TRUE(std::equal(packet.payload.rbegin(), packet.payload.rend(),
                               whole.rbegin()));
        EXPECT_EQ(network.Counter("fragmented"), 1u);
        EXPECT_EQ(network.Drops(), 0u);
        EXPECT_TRUE(network.alice.Take().empty());
      }
    }
  }
}

// A fragment is cut like a packet: the parts know where they are in the whole,
// and that it goes on behind them.
TEST(Fragmenting, FragmentsToo) {
  Network network;
  network.SetMtu(576);
  Bytes first = Make(LongPacket(network, kProtocolUdp, 1472));
  Store16(&first[34 + 4], 2000);  // UDP's length, of which more is to come.
  const auto out = network.Pass(
      network.alice, Cuttable(first, kIpv4MoreFragments), network.nic0);
  ASSERT_EQ(out.size(), 3u);
  const auto last = *Ipv4View::In(std::span(out[2]).subspan(14));
  EXPECT_TRUE(last.more_fragments());
  Bytes second(first.begin(), first.begin() + 34 + 528);
  Store16(&second[16], 20 + 528);
  const auto rest =
      network.Pass(network.alice, Cuttable(second, 1480 / 8), network.nic0);
  ASSERT_EQ(rest.size(), 1u);
  const auto end = *Ipv4View::In(std::span(rest[0]).subspan(14));
  EXPECT_EQ(end.fragment_offset(),
            last.fragment_offset() + last.total_bytes() - 20u);
  EXPECT_FALSE(end.more_fragments());
}

// Options that are for every fragment are in every fragment; others, such as a
// recorded route, are in the first alone (RFC 791 3.1).
TEST(Fragmenting, OptionsThatAreCopied) {
  Network network;
  network.SetMtu(576);
  const Bytes plain = Make(LongPacket(network, kProtocolUdp, 1200));
  const Bytes options = {1, 7, 7, 4, 0, 0, 0, 0, 0x88, 4, 1, 2};
  Bytes frame(plain.begin(), plain.begin() + 34);
  frame.insert(frame.end(), options.begin(), options.end());
  frame.insert(frame.end(), plain.begin() + 34, plain.end());
  frame[14] = 0x48;
  Store16(&frame[16], static_cast<uint16_t>(frame.size() - 14));
  const auto out = network.Pass(network.alice, Cuttable(frame), network.nic0);
  ASSERT_EQ(out.size(), 3u);
  EXPECT_TRUE(std::equal(options.begin(), options.end(), out[0].begin() + 34));
  for (const size_t later : {1, 2}) {
    EXPECT_EQ(out[later][14], 0x46);
    EXPECT_TRUE(std::equal(options.begin() + 8, options.end(),
                           out[later].begin() + 34));
  }
  EXPECT_TRUE(Read(Join(out, 576)).good_sums);
}

// DF is obeyed (Nat.FragmentationNeeded), and a way out on which a header
// leaves no room is none.
TEST(Fragmenting, S8_NoRoomForAnyFragment) {
  Network network;
  network.SetMtu(27);
  const Packet packet = LongPacket(network, kProtocolUdp, 100);
  network.ExpectDrop(network.alice, Cuttable(Make(packet)), "pkt_too_big");
  EXPECT_EQ(network.nic0.Take().size(), 0u);
}

}  // namespace
}  // namespace bulkhead::nic_router
