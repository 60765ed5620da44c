// IPv6 between domains: rules with state, hop limits, errors, discovery's hook.
#include "nic_router/packet/ipv6.h"

#include "nic_router/engine/test_network.h"

namespace bulkhead::nic_router {
namespace {

constexpr Ipv6Address Ip6(uint16_t net, uint16_t host) {
  return {0x20,
          0x01,
          0x0d,
          0xb8,
          static_cast<uint8_t>(net >> 8),
          static_cast<uint8_t>(net),
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          static_cast<uint8_t>(host >> 8),
          static_cast<uint8_t>(host)};
}
constexpr Ipv6Address kAlice6 = Ip6(1, 2);
constexpr Ipv6Address kRouter6 = Ip6(1, 1);
constexpr Ipv6Address kGateway6 = Ip6(9, 0xfe);
constexpr Ipv6Address kServer6 = Ip6(0x77, 7);

RouterConfig Config6() {
  RouterConfig config = NatConfig();
  config.domains[0].interface6 = Ipv6Prefix{kRouter6, 64};
  config.domains[0].ip6 = {{.to = {}, .domain = "uplink"}};
  config.domains[1].interface6 = Ipv6Prefix{Ip6(9, 1), 64};
  config.domains[1].gateway6 = kGateway6;
  return config;
}

struct Packet6 {
  MacAddress from{};
  MacAddress to{};
  Ipv6Address source{};
  Ipv6Address destination{};
  uint8_t protocol = kProtocolUdp;
  uint8_t hop_limit = 64;
  Bytes upper;
};

void FillSum6(Bytes& frame, size_t upper, uint8_t protocol) {
  const size_t at = upper + (protocol == kProtocolTcp   ? 16
                             : protocol == kProtocolUdp ? 6
                                                        : 2);
  Store16(&frame[at], 0);
  ChecksumSum sum =
      PseudoHeader6(LoadIpv6(&frame[22]), LoadIpv6(&frame[38]), protocol,
                    static_cast<uint32_t>(frame.size() - upper));
  sum.Add(std::span(frame).subspan(upper));
  Store16(&frame[at], sum.NonZeroChecksum());
}

Bytes Make6(const Packet6& packet) {
  Bytes frame(54);
  auto ethernet = EthernetWriter::In(frame);
  ethernet->set_destination(packet.to);
  ethernet->set_source(packet.from);
  ethernet->set_type(kEtherTypeIpv6);
  WriteIpv6(std::span(frame).subspan(14),
            {.source = packet.source,
             .destination = packet.destination,
             .next_header = packet.protocol,
             .hop_limit = packet.hop_limit},
            packet.upper.size());
  frame.insert(frame.end(), packet.upper.begin(), packet.upper.end());
  FillSum6(frame, 54, packet.protocol);
  return frame;
}

Bytes Udp(uint16_t from, uint16_t to, size_t payload = 4) {
  Bytes upper(8 + payload);
  Store16(&upper[0], from);
  Store16(&upper[2], to);
  Store16(&upper[4], static_cast<uint16_t>(upper.size()));
  return upper;
}

class Discovery final : public LocalProtocols {
 public:
  void OnDhcp(const LocalFrame&) override { ++dhcp; }
  void OnNeighbourDiscovery(const LocalFrame& frame) override {
    ++discovery;
    EXPECT_EQ(frame.ip_offset, 14u);
    EXPECT_LE(frame.payload_offset + frame.payload_bytes, frame.bytes.size());
  }
  void Resolve6(std::string_view domain, const Ipv6Address& address) override {
    asked.emplace_back(domain, address);
  }
  void OnLinksChanged() override {}

  int dhcp = 0;
  int discovery = 0;
  std::vector<std::pair<std::string, Ipv6Address>> asked;
};

class Ipv6Test : public ::testing::Test {
 protected:
  Ipv6Test() { network.engine().SetLocalProtocols(&protocols); }
  void LearnGateway6() {
    network.engine().LearnNeighbour6("uplink", kGateway6, kGatewayMac,
                                     network.now());
  }
  Packet6 FromAlice() {
    return {.from = kAliceMac,
            .to = network.engine().RouterMac("guests"),
            .source = kAlice6,
            .destination = kServer6,
            .upper = Udp(1000, 53)};
  }
  Packet6 FromServer() {
    return {.from = kGatewayMac,
            .to = kNic0Mac,
            .source = kServer6,
            .destination = kAlice6,
            .upper = Udp(53, 1000)};
  }

  Network network{Config6()};
  Discovery protocols;
};

// A packet waits until discovery has found its next hop, leaves one hop older,
// and its answer is let in; what nobody asked for is not.
TEST_F(Ipv6Test, ThereAndBack) {
  network.ExpectDrop(network.nic0, Make6(FromServer()), "ip_innoroutes");
  EXPECT_EQ(network.nic0.Take().size(), 1u);  // Who sent it is told.
  network.alice.Put(Make6(FromAlice()));
  network.Run();
  ASSERT_EQ(protocols.asked.size(), 1u);
  EXPECT_EQ(protocols.asked[0].first, "uplink");
  EXPECT_EQ(protocols.asked[0].second, kGateway6);
  LearnGateway6();
  EXPECT_LE(*network.engine().NextDeadline(), network.now());
  network.Run();
  const auto out = network.nic0.Take();
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(LoadMac(&out[0][0]), kGatewayMac);
  EXPECT_EQ(LoadMac(&out[0][6]), kNic0Mac);
  EXPECT_EQ(out[0][21], 63);
  EXPECT_EQ(LoadIpv6(&out[0][22]), kAlice6);
  const auto back =
      network.Pass(network.nic0, Make6(FromServer()), network.alice);
  ASSERT_EQ(back.size(), 1u);
  EXPECT_EQ(LoadMac(&back[0][0]), kAliceMac);
  EXPECT_EQ(network.engine().Links().rows.size(), 1u);
  Packet6 other = FromServer();
  other.upper = Udp(54, 1000);
  network.ExpectDrop(network.nic0, Make6(other), "ip_innoroutes");
}

TEST_F(Ipv6Test, HopLimitAndSize) {
  LearnGateway6();
  Packet6 packet = FromAlice();
  packet.hop_limit = 1;
  network.ExpectDrop(network.alice, Make6(packet), "ttl_exceeded");
  auto told = network.alice.Take();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0][54], kIcmp6TimeExceeded);
  Bytes mended = told[0];
  FillSum6(mended, 54, kProtocolIcmp6);
  EXPECT_EQ(mended, told[0]);
  EXPECT_EQ(LoadIpv6(&told[0][22]), kRouter6);
  packet = FromAlice();
  packet.upper = Udp(1000, 53, 1600);
  network.ExpectDrop(network.alice, Make6(packet), "pkt_too_big");
  told = network.alice.Take();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0][54], kIcmp6PacketTooBig);
  EXPECT_EQ(Load32(&told[0][58]), 1500u);
}

// An error about a link's packet comes through, one about nothing does not.
TEST_F(Ipv6Test, ErrorsComeBack) {
  LearnGateway6();
  const auto out =
      network.Pass(network.alice, Make6(FromAlice()), network.nic0);
  ASSERT_EQ(out.size(), 1u);
  Packet6 error = {.from = kGatewayMac,
                   .to = kNic0Mac,
                   .source = Ip6(0x55, 1),
                   .destination = kAlice6,
                   .protocol = kProtocolIcmp6,
                   .upper = Bytes(8)};
  error.upper[0] = kIcmp6TimeExceeded;
  error.upper.insert(error.upper.end(), out[0].begin() + 14, out[0].end());
  EXPECT_EQ(network.Pass(network.nic0, Make6(error), network.alice).size(), 1u);
  Bytes bad = Make6(error);
  bad[56] ^= 1;
  network.ExpectDrop(network.nic0, bad, "icmp_csum");
  error.upper[8 + 40] ^= 1;
  network.ExpectDrop(network.nic0, Make6(error), "icmp_no_flow");
  error.upper.resize(8 + 39);
  network.ExpectDrop(network.nic0, Make6(error), "pkt_too_small");
}

TEST_F(Ipv6Test, Echo) {
  Packet6 ping = FromAlice();
  ping.destination = kRouter6;
  ping.protocol = kProtocolIcmp6;
  ping.upper = Bytes(40, 3);
  ping.upper[0] = kIcmp6EchoRequest;
  const auto pong = network.Pass(network.alice, Make6(ping), network.alice);
  ASSERT_EQ(pong.size(), 1u);
  EXPECT_EQ(pong[0][54], kIcmp6EchoReply);
  Bytes mended = pong[0];
  FillSum6(mended, 54, kProtocolIcmp6);
  EXPECT_EQ(mended, pong[0]);
}

// Neighbour discovery is handed over, but only what cannot come from afar; a
// client is no router.
TEST_F(Ipv6Test, S8_Discovery) {
  Packet6 solicitation = FromAlice();
  solicitation.destination = kRouter6;
  solicitation.protocol = kProtocolIcmp6;
  solicitation.hop_limit = 255;
  solicitation.upper = Bytes(24);
  solicitation.upper[0] = 135;
  network.alice.Put(Make6(solicitation));
  network.Run();
  EXPECT_EQ(protocols.discovery, 1);
  solicitation.hop_limit = 254;
  network.ExpectDrop(network.alice, Make6(solicitation), "icmp_unhandled");
  solicitation.hop_limit = 255;
  solicitation.upper[0] = 134;
  network.ExpectDrop(network.alice, Make6(solicitation), "nd_spoofed");
  EXPECT_EQ(protocols.discovery, 1);
}

// A client speaks of its own MAC and addresses alone.
TEST_F(Ipv6Test, S8_SpoofedDiscovery) {
  Packet6 packet = FromAlice();
  packet.protocol = kProtocolIcmp6;
  packet.hop_limit = 255;
  packet.destination = kRouter6;
  const auto message = [](uint8_t type, const Ipv6Address& target,
                          uint8_t option, uint8_t length,
                          const MacAddress& mac) {
    Bytes upper(32);
    upper[0] = type;
    StoreIpv6(&upper[8], target);
    upper[24] = option;
    upper[25] = length;
    StoreMac(&upper[26], mac);
    return upper;
  };
  packet.upper = message(135, kRouter6, 1, 1, kAliceMac);
  network.alice.Put(Make6(packet));
  packet.upper = message(136, kAlice6, 2, 1, kAliceMac);
  network.alice.Put(Make6(packet));
  network.Run();
  EXPECT_EQ(protocols.discovery, 2);
  EXPECT_EQ(network.Drops(), 0u);
  const Bytes bad[] = {
      message(135, kRouter6, 1, 1, kBobMac),
      message(136, kAlice6, 2, 1, kBobMac),
      message(135, kRouter6, 1, 0, kAliceMac),
      message(135, kRouter6, 1, 2, kAliceMac),
  };
  for (const Bytes& upper : bad) {
    packet.upper = upper;
    network.ExpectDrop(network.alice, Make6(packet), "nd_spoofed");
  }
  Packet6 bob = packet;
  bob.from = kBobMac;
  bob.source = Ip6(1, 3);
  bob.upper = message(136, kAlice6, 2, 1, kBobMac);
  network.ExpectDrop(network.bob, Make6(bob), "nd_spoofed");
}

TEST_F(Ipv6Test, S8_HostileFrames) {
  LearnGateway6();
  struct Case {
    const char* name;
    void (*change)(Bytes&);
    const char* reason;
  };
  const Case cases[] = {
      {"header cut", [](Bytes& f) { f.resize(53); }, "pkt_too_small"},
      {"version", [](Bytes& f) { f[14] = 0x40; }, "ip_inhdr"},
      {"payload beyond the frame", [](Bytes& f) { Store16(&f[18], 900); },
       "ip_inhdr"},
      {"no room for UDP", [](Bytes& f) { Store16(&f[18], 7); },
       "pkt_too_small"},
      {"UDP checksum", [](Bytes& f) { f[60] ^= 1; }, "udp_csum"},
      {"UDP without one", [](Bytes& f) { Store16(&f[60], 0); }, "udp_csum"},
      {"another's source", [](Bytes& f) { f[25] ^= 1; }, "ip_spoofed_source"},
      {"the router's source", [](Bytes& f) { f[37] = 1; }, "ip_spoofed_source"},
      {"multicast source", [](Bytes& f) { f[22] = 0xff; }, "ip_invalid_source"},
      {"to a multicast group", [](Bytes& f) { f[38] = 0xff; }, "ip_localnet"},
      {"extension cut",
       [](Bytes& f) {
         f[20] = 60;
         f[55] = 9;
       },
       "ip_inhdr"},
      {"routing header 0",
       [](Bytes& f) {
         f[20] = 43;
         f[55] = 0;
         f[56] = 0;
       },
       "ip6_extensions"},
      {"a later fragment without its first",
       [](Bytes& f) {
         f[20] = 44;
         Store16(&f[56], 64 << 3);
       },
       "frag_no_first"},
      {"a first fragment without its header",
       [](Bytes& f) {
         f[20] = 44;
         f[54] = 17;
         Store16(&f[56], 1);
         Store16(&f[18], 8);
       },
       "frag_tiny"},
  };
  for (const Case& each : cases) {
    Bytes frame = Make6(FromAlice());
    each.change(frame);
    network.ExpectDrop(network.alice, frame, each.reason, each.name);
    EXPECT_TRUE(network.nic0.Take().empty()) << each.name;
    network.alice.Take();
  }
  EXPECT_TRUE(network.engine().Links().rows.empty());
}

// DHCP reaches its handler from who has no address, and a client cannot play
// the server.
TEST(Hook, S8_Dhcp) {
  RouterConfig config = NatConfig();
  config.domains[0].dhcp_server = DhcpServerConfig{};
  Network network(config);
  Discovery protocols;
  network.engine().SetLocalProtocols(&protocols);
  Packet discover = network.FromAlice();
  discover.to = kBroadcastMac;
  discover.source = 0;
  discover.destination = 0xffffffff;
  discover.source_port = 68;
  discover.destination_port = 67;
  discover.payload.resize(300);
  network.alice.Put(Make(discover));
  network.Run();
  EXPECT_EQ(protocols.dhcp, 1);
  EXPECT_TRUE(network.bob.Take().empty());
  Bytes bad = Make(discover);
  bad[40] ^= 1;
  network.ExpectDrop(network.alice, bad, "udp_csum");
  Packet offer = network.FromAlice();
  offer.to = kBobMac;
  offer.destination = kBob;
  offer.source_port = 67;
  offer.destination_port = 68;
  network.ExpectDrop(network.alice, Make(offer), "dhcp_spoofed");
}

}  // namespace
}  // namespace bulkhead::nic_router
