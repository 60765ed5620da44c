// IPv4 between domains: links, NAT, forwards, quotas, ends of links.
#include "nic_router/engine/test_network.h"

namespace bulkhead::nic_router {
namespace {

// A packet leaves with the domain's address and a dynamic port, one hop older;
// its answer comes back to who sent it.
TEST(Nat, ThereAndBack) {
  for (const uint8_t protocol : {kProtocolTcp, kProtocolUdp, kProtocolIcmp}) {
    Network network;
    network.LearnGateway();
    Packet packet = network.FromAlice();
    packet.protocol = protocol;
    const auto out = network.Pass(network.alice, Make(packet), network.nic0);
    ASSERT_EQ(out.size(), 1u) << int{protocol};
    const Seen seen = Read(out[0]);
    EXPECT_TRUE(seen.good_sums) << int{protocol};
    EXPECT_EQ(seen.source, kUplinkRouter);
    EXPECT_EQ(seen.destination, kServer);
    EXPECT_EQ(seen.ttl, 63);
    EXPECT_EQ(seen.from, kNic0Mac);
    EXPECT_EQ(seen.to, kGatewayMac);
    const uint16_t port =
        protocol == kProtocolIcmp ? seen.icmp_id : seen.source_port;
    EXPECT_GE(port, 49152);

    Packet answer = network.Answer(seen);
    answer.tcp_flags = kTcpSyn | kTcpAck;
    answer.icmp_type = kIcmpEchoReply;
    if (protocol == kProtocolIcmp) answer.source_port = port;
    const auto back = network.Pass(network.nic0, Make(answer), network.alice);
    ASSERT_EQ(back.size(), 1u) << int{protocol};
    const Seen got = Read(back[0]);
    EXPECT_TRUE(got.good_sums) << int{protocol};
    EXPECT_EQ(got.source, kServer);
    EXPECT_EQ(got.destination, kAlice);
    EXPECT_EQ(got.to, kAliceMac);
    EXPECT_EQ(got.from, network.engine().RouterMac("guests"));
    if (protocol == kProtocolIcmp) {
      EXPECT_EQ(got.icmp_id, 1000);
    } else {
      EXPECT_EQ(got.source_port, 53);
      EXPECT_EQ(got.destination_port, 1000);
    }
    EXPECT_EQ(network.engine().Links().rows.size(), 1u);
    EXPECT_EQ(network.Drops(), 0u);
  }
}

// However a frame is cut into pieces and buffers, its bytes arrive.
TEST(Nat, FramesInPieces) {
  for (const size_t payload : {0u, 1u, 100u, 150u, 151u, 1400u, 1472u}) {
    for (const size_t piece : {64u, 191u, 192u, 193u, 500u, 65535u}) {
      Network network;
      network.LearnGateway();
      Packet packet = network.FromAlice();
      packet.payload.resize(payload);
      for (size_t i = 0; i < payload; ++i) {
        packet.payload[i] = static_cast<uint8_t>(i);
      }
      const auto out =
          network.Pass(network.alice, Make(packet), network.nic0, piece);
      ASSERT_EQ(out.size(), 1u) << payload << " in " << piece;
      EXPECT_TRUE(Read(out[0]).good_sums) << payload << " in " << piece;
      EXPECT_TRUE(std::equal(packet.payload.begin(), packet.payload.end(),
                             out[0].begin() + 42))
          << payload << " in " << piece;
    }
  }
}

// A UDP datagram without a checksum has none behind the router either.
TEST(Nat, UdpWithoutChecksum) {
  Network network;
  network.LearnGateway();
  Bytes frame = Make(network.FromAlice());
  Store16(&frame[40], 0);
  const auto out = network.Pass(network.alice, frame, network.nic0);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(Load16(&out[0][40]), 0);
}

// The padding of a short Ethernet frame is not the packet's, and stays behind.
TEST(Nat, PaddingIsTakenOff) {
  Network network;
  network.LearnGateway();
  Bytes frame = Make(network.FromAlice());
  const size_t bytes = frame.size();
  frame.resize(60, 0xee);
  const auto out = network.Pass(network.alice, frame, network.nic0);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].size(), bytes);
}

// Two clients with the same ports have two links, and two peers may share a
// port of ours.
TEST(Nat, LinksAreKeptApart) {
  Network network;
  network.LearnGateway();
  const Seen a = Read(
      network.Pass(network.alice, Make(network.FromAlice()), network.nic0)[0]);
  const Seen b =
      Read(network.Pass(network.bob, Make(network.FromBob()), network.nic0)[0]);
  EXPECT_NE(a.source_port, b.source_port);
  EXPECT_EQ(
      network.Pass(network.nic0, Make(network.Answer(b)), network.bob).size(),
      1u);
  EXPECT_TRUE(network.alice.Take().empty());
}

// What nobody asked for is not let in.
TEST(Nat, S8_UnaskedFramesAreDropped) {
  Network network;
  network.LearnGateway();
  network.ExpectDrop(network.nic0,
                     Make({.from = kGatewayMac,
                           .to = kNic0Mac,
                           .source = kServer,
                           .destination = kUplinkRouter,
                           .source_port = 53,
                           .destination_port = 50000}),
                     "no_socket");
  network.ExpectDrop(network.nic0,
                     Make({.from = kGatewayMac,
                           .to = kNic0Mac,
                           .source = kServer,
                           .destination = kAlice,
                           .source_port = 53,
                           .destination_port = 1000}),
                     "ip_innoroutes");
  EXPECT_TRUE(network.alice.Take().empty());
  EXPECT_TRUE(network.engine().Links().rows.empty());
}

// The quota is the client domain's; an ended link gives its port back.
TEST(Nat, S8_QuotaOfPorts) {
  RouterConfig config = NatConfig();
  config.domains[1].nat[0].udp_ports = 3;
  Network network(config);
  network.LearnGateway();
  Packet packet = network.FromAlice();
  for (int i = 0; i < 3; ++i) {
    packet.source_port = static_cast<uint16_t>(2000 + i);
    EXPECT_EQ(network.Pass(network.alice, Make(packet), network.nic0).size(),
              1u);
  }
  packet.source_port = 2003;
  network.ExpectDrop(network.alice, Make(packet), "nat_quota");
  Packet tcp = packet;
  tcp.protocol = kProtocolTcp;
  EXPECT_EQ(network.Pass(network.alice, Make(tcp), network.nic0).size(), 1u);
  network.Advance(32 * kSecond);
  network.LearnGateway();
  EXPECT_EQ(network.Pass(network.alice, Make(packet), network.nic0).size(), 1u);
}

// More links than one address has ports, since peers tell them apart.
TEST(Nat, APortServesManyPeers) {
  RouterConfig config = NatConfig();
  config.domains[1].nat[0].udp_ports = 40000;
  config.max_flows = 40000;
  Network network(config);
  network.LearnGateway();
  Packet packet = network.FromAlice();
  for (uint32_t i = 0; i < 20000; ++i) {
    packet.destination = Ip(192, 0, 2, 1 + i % 200);
    packet.source_port = static_cast<uint16_t>(1024 + i);
    network.alice.set_tx_room(4096);
    network.nic0.set_tx_room(4096);
    network.alice.Put(Make(packet));
    if (i % 32 == 31) network.Run();
    network.nic0.Take();
  }
  EXPECT_EQ(network.Counter("links"), 20000u);
}

// Requests from outside to a forwarded port reach the host inside; answers
// leave as from the router.
TEST(Nat, Forwards) {
  RouterConfig config = NatConfig();
  config.domains[1].tcp_forward = {
      {.port = 80, .domain = "guests", .to = kAlice, .to_port = 8080}};
  Network network(config);
  network.LearnGateway();
  // So that she is known.
  network.Pass(network.alice, Make(network.FromAlice()), network.nic0);
  const auto in = network.Pass(network.nic0,
                               Make({.from = kGatewayMac,
                                     .to = kNic0Mac,
                                     .source = kServer,
                                     .destination = kUplinkRouter,
                                     .protocol = kProtocolTcp,
                                     .source_port = 5555,
                                     .destination_port = 80}),
                               network.alice);
  ASSERT_EQ(in.size(), 1u);
  const Seen seen = Read(in[0]);
  EXPECT_TRUE(seen.good_sums);
  EXPECT_EQ(seen.source, kServer);
  EXPECT_EQ(seen.destination, kAlice);
  EXPECT_EQ(seen.destination_port, 8080);
  Packet answer = network.FromAlice();
  answer.protocol = kProtocolTcp;
  answer.tcp_flags = kTcpSyn | kTcpAck;
  answer.source_port = 8080;
  answer.destination_port = 5555;
  const auto out = network.Pass(network.alice, Make(answer), network.nic0);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(Read(out[0]).source, kUplinkRouter);
  EXPECT_EQ(Read(out[0]).source_port, 80);
  EXPECT_TRUE(Read(out[0]).good_sums);
}

struct TcpStep {
  bool forth;
  uint8_t flags;
  const char* state;
};
// A TCP link's state follows what both sides say.
TEST(Nat, StatesOfTcp) {
  const std::vector<std::pair<const char*, std::vector<TcpStep>>> cases = {
      {"opened and closed",
       {{true, kTcpSyn, "opening"},
        {false, kTcpSyn | kTcpAck, "open"},
        {true, kTcpAck, "open"},
        {true, kTcpFin | kTcpAck, "closing"},
        {false, kTcpAck, "closing"},
        {false, kTcpFin | kTcpAck, "closed"},
        {true, kTcpAck, "closed"},
        {true, kTcpSyn, "opening"}}},
      {"a reset that the other side did not believe",
       {{true, kTcpSyn, "opening"},
        {false, kTcpSyn | kTcpAck, "open"},
        {false, kTcpRst, "reset"},
        {true, kTcpAck, "open"}}},
      {"refused",
       {{true, kTcpSyn, "opening"}, {false, kTcpRst | kTcpAck, "reset"}}},
  };
  for (const auto& [name, steps] : cases) {
    Network network;
    network.LearnGateway();
    Packet forth = network.FromAlice();
    forth.protocol = kProtocolTcp;
    Packet back;
    for (const TcpStep& step : steps) {
      if (step.forth) {
        forth.tcp_flags = step.flags;
        const auto out = network.Pass(network.alice, Make(forth), network.nic0);
        ASSERT_EQ(out.size(), 1u) << name;
        back = network.Answer(Read(out[0]));
      } else {
        back.tcp_flags = step.flags;
        ASSERT_EQ(network.Pass(network.nic0, Make(back), network.alice).size(),
                  1u)
            << name;
      }
      ASSERT_EQ(network.engine().Links().rows.size(), 1u);
      EXPECT_EQ(network.engine().Links().rows[0][8], step.state) << name;
    }
  }
}

// A link ends when it was idle for its protocol's time, and not before.
TEST(Nat, IdleLinksEnd) {
  struct Case {
    uint8_t protocol;
    uint64_t seconds;
  };
  for (const Case& each : {Case{kProtocolUdp, 30}, Case{kProtocolIcmp, 5},
                           Case{kProtocolTcp, 20}}) {  // Never answered.
    Network network;
    network.LearnGateway();
    Packet packet = network.FromAlice();
    packet.protocol = each.protocol;
    network.Pass(network.alice, Make(packet), network.nic0);
    network.Advance((each.seconds - 1) * kSecond);
    EXPECT_EQ(network.Counter("links"), 1u) << int{each.protocol};
    ASSERT_TRUE(network.engine().NextDeadline().has_value());
    network.Pass(network.alice, Make(packet), network.nic0);
    network.Advance((each.seconds - 1) * kSecond);
    EXPECT_EQ(network.Counter("links"), 1u) << int{each.protocol};
    network.Advance(3 * kSecond);
    EXPECT_EQ(network.Counter("links"), 0u) << int{each.protocol};
    EXPECT_EQ(network.Counter("links_expired"), 1u);
    EXPECT_FALSE(network.engine().NextDeadline().has_value());
  }
}

// A full table frees the idle links of who has most; who has few keeps them.
TEST(Nat, S8_EmergencyFreeing) {
  RouterConfig config = NatConfig();
  config.max_flows = 64;
  config.domains[1].nat[0].udp_ports = 1000;
  Network network(config);
  network.LearnGateway();
  Packet bob = network.FromBob();
  for (uint16_t i = 0; i < 4; ++i) {
    bob.source_port = static_cast<uint16_t>(3000 + i);
    network.Pass(network.bob, Make(bob), network.nic0);
  }
  Packet alice = network.FromAlice();
  for (uint16_t i = 0; i < 500; ++i) {
    alice.source_port = static_cast<uint16_t>(4000 + i);
    network.Pass(network.alice, Make(alice), network.nic0);
  }
  EXPECT_EQ(network.Counter("links"), 64u);
  EXPECT_EQ(network.Counter("links_freed_in_emergency"), 440u);
  size_t of_bob = 0;
  for (const auto& row : network.engine().Links().rows) {
    if (row[1] == "bob") ++of_bob;
  }
  EXPECT_EQ(of_bob, 4u);
  // And bob, who has few, gets more from alice.
  bob.source_port = 3100;
  EXPECT_EQ(network.Pass(network.bob, Make(bob), network.nic0).size(), 1u);
}

// Time to live runs out here: the sender is told, from the router's address.
TEST(Nat, TimeExceeded) {
  Network network;
  network.LearnGateway();
  Packet packet = network.FromAlice();
  packet.ttl = 1;
  network.ExpectDrop(network.alice, Make(packet), "ttl_exceeded");
  const auto told = network.alice.Take();
  ASSERT_EQ(told.size(), 1u);
  const Seen seen = Read(told[0]);
  EXPECT_TRUE(seen.good_sums);
  EXPECT_EQ(seen.source, kGuestsRouter);
  EXPECT_EQ(seen.destination, kAlice);
  EXPECT_EQ(seen.icmp_type, kIcmpTimeExceeded);
  EXPECT_TRUE(network.engine().Links().rows.empty());
}

// What does not fit the way out is answered with what would (RFC 1191).
TEST(Nat, FragmentationNeeded) {
  Network network;
  network.SetMtu(1400);
  Packet packet = network.FromAlice();
  packet.payload.resize(1400);
  network.ExpectDrop(network.alice, Make(packet), "pkt_too_big");
  const auto told = network.alice.Take();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(Read(told[0]).icmp_type, kIcmpUnreachable);
  EXPECT_EQ(Read(told[0]).icmp_code, kIcmpFragmentationNeeded);
  EXPECT_EQ(Load16(&told[0][34 + 6]), 1400);
}

// An error about a translated packet reaches its sender as if there were no
// NAT: outer and inner addresses, ports and sums.
TEST(Nat, ErrorsComeBack) {
  for (const uint8_t protocol : {kProtocolTcp, kProtocolUdp, kProtocolIcmp}) {
    Network network;
    network.LearnGateway();
    Packet packet = network.FromAlice();
    packet.protocol = protocol;
    const Bytes original = Make(packet);
    const Bytes out = network.Pass(network.alice, original, network.nic0).at(0);
    // A router on the way says that its time was exceeded, and quotes it all.
    Packet error = {.from = kGatewayMac,
                    .to = kNic0Mac,
                    .source = Ip(198, 51, 100, 1),
                    .destination = kUplinkRouter,
                    .protocol = kProtocolIcmp,
                    .icmp_type = kIcmpTimeExceeded,
                    .payload = Bytes(out.begin() + 14, out.end())};
    const auto back = network.Pass(network.nic0, Make(error), network.alice);
    ASSERT_EQ(back.size(), 1u) << int{protocol};
    EXPECT_TRUE(Read(back[0]).good_sums);
    EXPECT_EQ(Read(back[0]).source, Ip(198, 51, 100, 1));
    EXPECT_EQ(Read(back[0]).destination, kAlice);
    Bytes inner(14);
    inner.insert(inner.end(), back[0].begin() + 42, back[0].end());
    const Seen seen = Read(inner);
    EXPECT_TRUE(seen.good_sums) << int{protocol};
    EXPECT_EQ(seen.source, kAlice);
    EXPECT_EQ(seen.destination, kServer);
    if (protocol == kProtocolIcmp) {
      EXPECT_EQ(seen.icmp_id, 1000);
    } else {
      EXPECT_EQ(seen.source_port, 1000);
    }
    // About nothing that left: dropped.
    Packet other = error;
    other.payload[12] ^= 1;
    network.ExpectDrop(network.nic0, Make(other), "icmp_no_flow");
    Bytes bad = Make(error);
    bad[50] ^= 1;
    network.ExpectDrop(network.nic0, bad, "icmp_csum");
  }
}

// Errors of our own are so many a second, however many are provoked.
TEST(Nat, ErrorsAreLimited) {
  Network network;
  network.LearnGateway();
  Packet packet = network.FromAlice();
  packet.ttl = 1;
  for (int i = 0; i < 1000; ++i) network.alice.Put(Make(packet));
  network.Run();
  EXPECT_EQ(network.Counter("icmp_errors"), 100u);
  EXPECT_EQ(network.Counter("drop_ttl_exceeded"), 1000u);
  network.Advance(kSecond / 100);
  for (int i = 0; i < 1000; ++i) network.alice.Put(Make(packet));
  network.Run();
  EXPECT_EQ(network.Counter("icmp_errors"), 110u);
}

// The router answers echo requests to its address, in pieces too.
TEST(Nat, Echo) {
  Network network;
  Packet ping = network.FromAlice();
  ping.destination = kGuestsRouter;
  ping.protocol = kProtocolIcmp;
  ping.payload.resize(1000, 7);
  const auto pong = network.Pass(network.alice, Make(ping), network.alice, 100);
  ASSERT_EQ(pong.size(), 1u);
  const Seen seen = Read(pong[0]);
  EXPECT_TRUE(seen.good_sums);
  EXPECT_EQ(seen.icmp_type, kIcmpEchoReply);
  EXPECT_EQ(seen.icmp_id, 1000);
  EXPECT_EQ(seen.source, kGuestsRouter);
  EXPECT_EQ(pong[0].size(), 42u + 1000u);
}

}  // namespace
}  // namespace bulkhead::nic_router
