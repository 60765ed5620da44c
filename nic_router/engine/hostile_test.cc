// Frames that nobody honest sends: each ends in one named counter, and none
// makes state or leaves the router.
#include "nic_router/engine/test_network.h"

namespace bulkhead::nic_router {
namespace {

using Change = void (*)(Bytes&);

struct Case {
  const char* name;
  uint8_t protocol;
  Change change;
  const char* reason;
};

// One byte lies, and the checksum is put right where that is not the point.
const Case kCases[] = {
    {"no Ethernet header", kProtocolUdp, [](Bytes& f) { f.resize(13); },
     "pkt_too_small"},
    {"no IP header", kProtocolUdp, [](Bytes& f) { f.resize(14); },
     "pkt_too_small"},
    {"IP header cut", kProtocolUdp, [](Bytes& f) { f.resize(33); },
     "pkt_too_small"},
    {"IP header longer than the frame", kProtocolUdp,
     [](Bytes& f) {
       f[14] = 0x4f;
       f.resize(60);
       f.resize(40);
     },
     "ip_inhdr"},
    {"IP version 5", kProtocolUdp, [](Bytes& f) { f[14] = 0x55; }, "ip_inhdr"},
    {"IP header of 16 bytes", kProtocolUdp, [](Bytes& f) { f[14] = 0x44; },
     "ip_inhdr"},
    {"total length beyond the frame", kProtocolUdp,
     [](Bytes& f) {
       Store16(&f[16], 1500);
       FixIpSum(f);
     },
     "ip_inhdr"},
    {"total length below the header", kProtocolUdp,
     [](Bytes& f) {
       Store16(&f[16], 19);
       FixIpSum(f);
     },
     "ip_inhdr"},
    {"total length without a UDP header", kProtocolUdp,
     [](Bytes& f) {
       Store16(&f[16], 27);
       FixIpSum(f);
     },
     "pkt_too_small"},
    {"IP checksum", kProtocolUdp, [](Bytes& f) { f[24] ^= 1; }, "ip_csum"},
    {"UDP length beyond the packet", kProtocolUdp,
     [](Bytes& f) { Store16(&f[38], 1000); }, "ip_inhdr"},
    {"UDP length below its header", kProtocolUdp,
     [](Bytes& f) { Store16(&f[38], 7); }, "ip_inhdr"},
    {"UDP checksum", kProtocolUdp, [](Bytes& f) { f[40] ^= 1; }, "udp_csum"},
    {"TCP checksum", kProtocolTcp, [](Bytes& f) { f[50] ^= 1; }, "tcp_csum"},
    {"TCP header cut", kProtocolTcp,
     [](Bytes& f) {
       Store16(&f[16], 39);
       FixIpSum(f);
     },
     "pkt_too_small"},
    {"TCP offset below its header", kProtocolTcp,
     [](Bytes& f) { f[46] = 0x40; }, "ip_inhdr"},
    {"TCP offset beyond the packet", kProtocolTcp,
     [](Bytes& f) { f[46] = 0xf0; }, "ip_inhdr"},
    {"TCP without flags", kProtocolTcp, [](Bytes& f) { f[47] = 0; },
     "tcp_flags"},
    {"TCP SYN and FIN", kProtocolTcp, [](Bytes& f) { f[47] = 3; }, "tcp_flags"},
    {"TCP SYN and RST", kProtocolTcp, [](Bytes& f) { f[47] = 6; }, "tcp_flags"},
    {"TCP christmas tree", kProtocolTcp, [](Bytes& f) { f[47] = 0x29; },
     "tcp_flags"},
    {"TCP reset of nothing", kProtocolTcp,
     [](Bytes& f) {
       f[47] = kTcpRst;
       FillUpperSum(f);
     },
     "tcp_no_flow"},
    {"ICMP checksum", kProtocolIcmp, [](Bytes& f) { f[36] ^= 1; }, "icmp_csum"},
    {"ICMP cut", kProtocolIcmp,
     [](Bytes& f) {
       Store16(&f[16], 27);
       FixIpSum(f);
     },
     "pkt_too_small"},
    {"ICMP redirect", kProtocolIcmp,
     [](Bytes& f) {
       f[34] = 5;
       FillUpperSum(f);
     },
     "icmp_unhandled"},
    {"ICMP answer to nothing", kProtocolIcmp,
     [](Bytes& f) {
       f[34] = 0;
       FillUpperSum(f);
     },
     "icmp_no_flow"},
    {"ICMP error with nothing in it", kProtocolIcmp,
     [](Bytes& f) {
       f[34] = 3;
       FillUpperSum(f);
     },
     "pkt_too_small"},
    {"to a multicast group", kProtocolUdp,
     [](Bytes& f) {
       Store32(&f[30], Ip(224, 0, 0, 251));
       FixIpSum(f);
     },
     "ip_localnet"},
    {"to nobody", kProtocolUdp,
     [](Bytes& f) {
       Store32(&f[30], 0);
       FixIpSum(f);
     },
     "ip_localnet"},
    {"to the loopback network", kProtocolUdp,
     [](Bytes& f) {
       Store32(&f[30], Ip(127, 0, 0, 1));
       FixIpSum(f);
     },
     "ip_localnet"},
    {"another ether type for the router", kProtocolUdp,
     [](Bytes& f) { Store16(&f[12], 0x88cc); }, "unhandled_proto"},
    {"ARP cut", kProtocolUdp,
     [](Bytes& f) {
       Store16(&f[12], 0x806);
       f.resize(41);
     },
     "pkt_too_small"},
    {"ARP of other kinds", kProtocolUdp,
     [](Bytes& f) { Store16(&f[12], 0x806); }, "arp_inhdr"},
};

TEST(Hostile, S7_S8_MalformedFrames) {
  for (const Case& each : kCases) {
    Network network;
    network.LearnGateway();
    Packet packet = network.FromAlice();
    packet.protocol = each.protocol;
    Bytes frame = Make(packet);
    each.change(frame);
    network.ExpectDrop(network.alice, frame, each.reason, each.name);
    EXPECT_TRUE(network.nic0.Take().empty()) << each.name;
    EXPECT_TRUE(network.engine().Links().rows.empty()) << each.name;
  }
}

Bytes WithOptions(const Bytes& frame, const Bytes& options) {
  Bytes out(frame.begin(), frame.begin() + 34);
  out.insert(out.end(), options.begin(), options.end());
  out.insert(out.end(), frame.begin() + 34, frame.end());
  out[14] = static_cast<uint8_t>(0x45 + options.size() / 4);
  Store16(&out[16], static_cast<uint16_t>(out.size() - 14));
  FixIpSum(out);
  return out;
}

// Options that are none pass untouched; bombs and source routes do not.
TEST(Hostile, S8_IpOptions) {
  Network network;
  network.LearnGateway();
  const Bytes frame = Make(network.FromAlice());
  const Bytes good = WithOptions(frame, Bytes(40, 1));
  const auto out = network.Pass(network.alice, good, network.nic0);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_TRUE(Read(out[0]).good_sums);
  EXPECT_EQ(out[0].size(), good.size());
  network.ExpectDrop(network.alice, WithOptions(frame, {7, 0, 0, 0}),
                     "ip_options");
  network.ExpectDrop(network.alice, WithOptions(frame, {131, 4, 4, 0}),
                     "ip_options");
}

// Each byte of a good packet takes every value that is near another's meaning:
// whatever comes of it, each frame is sent or counted once, and no buffer is
// lost.
TEST(Hostile, S8_EveryByteLies) {
  for (const uint8_t protocol : {kProtocolTcp, kProtocolUdp, kProtocolIcmp}) {
    Network network;
    network.LearnGateway();
    Packet packet = network.FromAlice();
    packet.protocol = protocol;
    const Bytes frame = Make(packet);
    for (size_t at = 0; at < frame.size(); ++at) {
      for (const uint8_t value :
           {0x00, 0x06, 0x29, 0x45, 0x4f, 0x81, 0xdd, 0xff}) {
        for (const bool mend : {false, true}) {
          Bytes changed = frame;
          changed[at] = value;
          if (mend && changed[14] == 0x45) FixIpSum(changed);
          const uint64_t frames = network.Counter("frames");
          const uint64_t before = network.Drops() + network.Counter("sent") +
                                  network.Counter("waiting");
          network.alice.Put(changed);
          network.Run();
          EXPECT_EQ(network.Counter("frames"), frames + 1);
          // An answer of our own may be sent on top.
          EXPECT_GE(network.Drops() + network.Counter("sent") +
                        network.Counter("waiting"),
                    before + 1)
              << at << " = " << int{value};
        }
      }
    }
  }
}

struct Fragment {
  uint32_t offset;
  uint32_t bytes;
  bool more;
};
Bytes MakeFragment(const Bytes& whole, const Fragment& fragment) {
  Bytes frame(whole.begin(), whole.begin() + 34);
  frame.insert(frame.end(), whole.begin() + 34 + fragment.offset,
               whole.begin() + 34 + fragment.offset + fragment.bytes);
  Store16(&frame[16], static_cast<uint16_t>(20 + fragment.bytes));
  Store16(&frame[18], 99);
  Store16(&frame[20],
          static_cast<uint16_t>(fragment.offset / 8 |
                                (fragment.more ? kIpv4MoreFragments : 0)));
  FixIpSum(frame);
  return frame;
}

// A fragmented datagram passes NAT: put together behind it, it is whole.
TEST(Fragments, PassTheNat) {
  Network network;
  network.LearnGateway();
  Packet packet = network.FromAlice();
  packet.payload.resize(3000);
  for (size_t i = 0; i < packet.payload.size(); ++i) {
    packet.payload[i] = static_cast<uint8_t>(i * 7);
  }
  const Bytes whole = Make(packet);
  Bytes together(34 + 3008);
  for (const Fragment& each :
       {Fragment{0, 1480, true}, Fragment{2960, 48, false},
        Fragment{1480, 1480, true}}) {
    const auto out =
        network.Pass(network.alice, MakeFragment(whole, each), network.nic0);
    ASSERT_EQ(out.size(), 1u) << each.offset;
    std::copy_n(out[0].begin(), 34, together.begin());
    std::copy(out[0].begin() + 34, out[0].end(),
              together.begin() + 34 + each.offset);
  }
  Store16(&together[16], 20 + 3008);
  Store16(&together[20], 0);
  FixIpSum(together);
  EXPECT_TRUE(Read(together).good_sums);
  EXPECT_EQ(Read(together).source, kUplinkRouter);
  EXPECT_EQ(network.Drops(), 0u);
}

TEST(Fragments, S8_HostileOnes) {
  struct FragmentCase {
    const char* name;
    uint8_t protocol;
    std::vector<Fragment> before;
    Fragment last;
    const char* reason;
  };
  const FragmentCase cases[] = {
      {"before its first",
       kProtocolUdp,
       {},
       {1480, 100, false},
       "frag_no_first"},
      {"the same again",
       kProtocolUdp,
       {{0, 800, true}, {800, 80, true}},
       {800, 80, true},
       "frag_overlap"},
      {"the first again",
       kProtocolUdp,
       {{0, 800, true}},
       {0, 800, true},
       "frag_overlap"},
      {"over the end of another",
       kProtocolUdp,
       {{0, 800, true}, {1600, 80, true}},
       {1592, 80, true},
       "frag_overlap"},
      {"over all",
       kProtocolUdp,
       {{0, 800, true}, {800, 80, true}},
       {8, 1600, false},
       "frag_overlap"},
      {"over TCP's header",
       kProtocolTcp,
       {{0, 800, true}},
       {8, 80, false},
       "frag_overlap"},
      {"TCP's header in two", kProtocolTcp, {}, {0, 16, true}, "frag_tiny"},
      {"odd length in the middle",
       kProtocolUdp,
       {},
       {0, 801, true},
       "ip_inhdr"},
  };
  for (const FragmentCase& each : cases) {
    Network network;
    network.LearnGateway();
    Packet packet = network.FromAlice();
    packet.protocol = each.protocol;
    packet.payload.resize(4000);
    const Bytes whole = Make(packet);
    for (const Fragment& fragment : each.before) {
      EXPECT_EQ(
          network
              .Pass(network.alice, MakeFragment(whole, fragment), network.nic0)
              .size(),
          1u)
          << each.name;
    }
    network.ExpectDrop(network.alice, MakeFragment(whole, each.last),
                       each.reason, each.name);
    EXPECT_TRUE(network.nic0.Take().empty()) << each.name;
  }
}

// Beyond 64 KiB: the ping of death.
TEST(Fragments, S8_BeyondTheEnd) {
  Network network;
  network.LearnGateway();
  Packet packet = network.FromAlice();
  packet.payload.resize(1000);
  Bytes frame = Make(packet);
  Store16(&frame[20], 0x1fff);
  FixIpSum(frame);
  network.ExpectDrop(network.alice, frame, "frag_too_far");
}

// Holes without end: so many parts of one packet, and no more.
TEST(Fragments, S8_HolesAreBounded) {
  Network network;
  network.LearnGateway();
  Packet packet = network.FromAlice();
  packet.payload.resize(4000);
  const Bytes whole = Make(packet);
  network.Pass(network.alice, MakeFragment(whole, {0, 8, true}), network.nic0);
  for (uint32_t i = 1; i < 8; ++i) {
    EXPECT_EQ(network
                  .Pass(network.alice, MakeFragment(whole, {i * 16, 8, true}),
                        network.nic0)
                  .size(),
              1u);
  }
  network.ExpectDrop(network.alice, MakeFragment(whole, {160, 8, true}),
                     "frag_too_many");
}

}  // namespace
}  // namespace bulkhead::nic_router
