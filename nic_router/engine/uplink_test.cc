// Uplink groups and VLANs.
#include "nic_router/engine/test_network.h"

namespace bulkhead::nic_router {
namespace {

// The active uplink fails: the very next turn uses the other, says so by ARP,
// and the link's answers are taken there. When the first is back, it is used.
TEST(Uplink, FailsOverInOneTurn) {
  Network network;
  network.LearnGateway();
  const Bytes packet = Make(network.FromAlice());
  const Seen before =
      Read(network.Pass(network.alice, packet, network.nic0)[0]);
  network.nic0.set_link(false);
  const auto out = network.Pass(network.alice, packet, network.nic1);
  ASSERT_EQ(out.size(), 2u);
  ASSERT_TRUE(IsArp(out[0]));
  const auto arp = ArpView::In(std::span(out[0]).subspan(14));
  EXPECT_EQ(arp->sender_ip(), kUplinkRouter);
  EXPECT_EQ(arp->target_ip(), kUplinkRouter);
  EXPECT_EQ(arp->sender_mac(), kNic1Mac);
  const Seen after = Read(out[1]);
  EXPECT_TRUE(after.good_sums);
  EXPECT_EQ(after.source_port, before.source_port);
  EXPECT_EQ(after.from, kNic1Mac);
  EXPECT_EQ(after.to, kGatewayMac);
  EXPECT_EQ(
      network.Pass(network.nic1, Make(network.Answer(after)), network.alice)
          .size(),
      1u);
  network.nic0.set_link(true);
  EXPECT_EQ(network.Pass(network.alice, packet, network.nic0).size(), 2u);
  EXPECT_EQ(network.Counter("failovers"), 2u);
  EXPECT_EQ(network.Drops(), 0u);
}

// What comes in through the one that is not used, and what has no way out, is
// counted.
TEST(Uplink, S8_StandbyAndNoLink) {
  Network network;
  network.LearnGateway();
  const Bytes packet = Make(network.FromAlice());
  const Seen seen = Read(network.Pass(network.alice, packet, network.nic0)[0]);
  Packet answer = network.Answer(seen);
  answer.to = kNic1Mac;
  network.ExpectDrop(network.nic1, Make(answer), "standby_uplink");
  network.nic0.set_link(false);
  network.nic1.set_link(false);
  network.ExpectDrop(network.alice, packet, "no_link");
  network.nic0.set_link(true);
  network.Run();
  network.nic0.Take();
  EXPECT_EQ(network.Pass(network.alice, packet, network.nic0).size(), 1u);
}

// While an uplink has no buffers, what a client sends there waits, in order,
// and the client gets no buffer back: it waits as it would at the NIC itself.
TEST(Uplink, S8_AFullUplinkMakesItsClientsWait) {
  Network network;
  network.LearnGateway();
  Packet packet = network.FromAlice();
  network.Pass(network.alice, Make(packet), network.nic0);
  network.nic0.set_tx_room(2);
  for (uint16_t i = 0; i < 5; ++i) {
    packet.payload = Bytes(10 + i, 'x');
    network.alice.Put(Make(packet));
  }
  const uint64_t drops = network.Drops();
  while (network.engine().Turn(network.now())) {
  }
  EXPECT_EQ(network.nic0.Take().size(), 2u);
  EXPECT_EQ(network.alice.lent(), 3u);
  EXPECT_TRUE(network.alice.paused());
  network.nic0.set_tx_room(3);
  network.Run();
  const std::vector<Bytes> later = network.nic0.Take();
  ASSERT_EQ(later.size(), 3u);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(later[i].size(), 42 + 12 + i);
  EXPECT_FALSE(network.alice.paused());
  EXPECT_EQ(network.Drops(), drops);
}

// Not for ever: then they are dropped, as is what follows, until the uplink has
// buffers again. Others are served meanwhile.
TEST(Uplink, S8_AnUplinkThatStaysFullDrops) {
  Network network;
  network.LearnGateway();
  const Bytes packet = Make(network.FromAlice());
  network.Pass(network.alice, packet, network.nic0);
  network.nic0.set_tx_room(0);
  network.alice.Put(packet);
  EXPECT_TRUE(network.engine().Turn(network.now()));
  EXPECT_FALSE(network.engine().Turn(network.now()));
  EXPECT_EQ(network.alice.lent(), 1u);
  const std::optional<uint64_t> due = network.engine().NextDeadline();
  ASSERT_TRUE(due.has_value());
  ASSERT_LE(*due - network.now(), kSecond);
  const uint64_t drops = network.Counter("drop_full_ring");
  network.Advance(*due - network.now());
  EXPECT_EQ(network.Counter("drop_full_ring"), drops + 1);
  network.ExpectDrop(network.alice, packet, "full_ring", "still full");
}

// A client that goes while its frames wait has them back, counted.
TEST(Uplink, S8_WhoGoesWhileItsFramesWait) {
  Network network;
  network.LearnGateway();
  const Bytes packet = Make(network.FromAlice());
  network.Pass(network.alice, packet, network.nic0);
  network.nic0.set_tx_room(0);
  network.alice.Put(packet, 20);
  network.alice.Put(packet);
  network.engine().Turn(network.now());
  EXPECT_GT(network.alice.lent(), 0u);
  const uint64_t drops = network.Drops();
  network.engine().Remove(network.alice_id());
  EXPECT_EQ(network.alice.lent(), 0u);
  EXPECT_EQ(network.Counter("drop_member_removed"), 2u);
  EXPECT_EQ(network.Drops(), drops + 2);
}

// A client that has no buffers keeps nobody waiting.
TEST(Uplink, S8_AFullClientIsItsOwnAffair) {
  Network network;
  Packet packet = network.FromBob();
  packet.to = kAliceMac;
  packet.destination = kAlice;
  network.Pass(network.bob, Make(packet), network.alice);
  network.alice.set_tx_room(0);
  network.ExpectDrop(network.bob, Make(packet), "full_ring");
}

// Clients that fill an uplink share it, whichever comes first in a turn.
TEST(Uplink, AFullUplinkIsShared) {
  Network network;
  network.LearnGateway();
  network.Pass(network.alice, Make(network.FromAlice()), network.nic0);
  network.Pass(network.bob, Make(network.FromBob()), network.nic0);
  for (int i = 0; i < 40; ++i) {
    network.alice.Put(Make(network.FromAlice()));
    network.bob.Put(Make(network.FromBob()));
  }
  network.nic0.set_tx_room(0);
  const size_t before = network.bob.lent() + network.bob.waiting();
  for (int i = 0; i < 40; ++i) {
    network.Advance(kSecond / 1000, /*settled=*/false);
    network.nic0.set_tx_room(1);
    while (network.engine().Turn(network.now())) {
    }
  }
  EXPECT_EQ(network.nic0.Take().size(), 40u);
  const size_t after = network.bob.lent() + network.bob.waiting();
  EXPECT_NEAR(static_cast<double>(before - after), 20, 1);
}

// A frame that finds some buffers, but never enough, waits no longer than one
// that finds none.
TEST(Uplink, S8_TooFewBuffersAreNone) {
  Network network;
  network.SetMtu(9000);
  Packet packet = network.FromAlice();
  network.Pass(network.alice, Make(packet), network.nic0);
  packet.payload.resize(8000);
  network.nic0.set_tx_room(1);
  network.alice.Put(Make(packet));
  const uint64_t drops = network.Counter("drop_full_ring");
  for (int i = 0; i < 20; ++i) {
    network.Advance(kSecond / 1000, /*settled=*/false);
    network.nic0.set_tx_room(1);
  }
  EXPECT_EQ(network.Counter("drop_full_ring"), drops + 1);
  EXPECT_EQ(network.alice.lent(), 0u);
}

// What the router cuts into fragments has left in part when the buffers are
// over: its rest is dropped, and no fragment leaves twice.
TEST(Uplink, S8_FragmentsDoNotWait) {
  Network network;
  network.SetMtu(600);
  Packet packet = network.FromAlice();
  network.Pass(network.alice, Make(packet), network.nic0);
  packet.payload.resize(1000);
  Bytes frame = Make(packet);
  Store16(&frame[20], 0);  // It may be fragmented.
  FixIpSum(frame);
  network.nic0.set_tx_room(1);
  network.ExpectDrop(network.alice, frame, "full_ring");
  EXPECT_EQ(network.nic0.Take().size(), 1u);
  network.nic0.set_tx_room(10);
  network.Run();
  EXPECT_TRUE(network.nic0.Take().empty());
}

RouterConfig VlanConfigOf() {
  RouterConfig config = NatConfig();
  DomainConfig lab;
  lab.name = "lab";
  lab.interface = Ipv4Prefix{Ip(10, 7, 0, 1), 24};
  config.domains.push_back(lab);
  config.domains[0].ip = {{.to = {Ip(10, 7, 0, 0), 24}, .domain = "lab"}};
  config.domains[0].udp.clear();
  config.domains[2].ip = {{.to = {Ip(10, 0, 1, 0), 24}, .domain = "guests"}};
  config.uplinks[0].vlans = {{.vlan = 7, .domain = "lab"}};
  return config;
}

Bytes Tagged(Bytes frame, uint16_t vlan) {
  Bytes tag(4);
  Store16(&tag[0], kEtherTypeVlan);
  Store16(&tag[2], vlan);
  frame.insert(frame.begin() + 12, tag.begin(), tag.end());
  return frame;
}

// A tag on the wire is a domain: it is put on and taken off.
TEST(Uplink, Vlans) {
  Network network(VlanConfigOf());
  constexpr MacAddress kHost = {2, 0, 0, 0, 7, 2};
  const Ipv4Address host = Ip(10, 7, 0, 2);
  const auto reply =
      network.Pass(network.nic0,
                   Tagged(MakeArp(kHost, kBroadcastMac,
                                  {.sender_mac = kHost,
                                   .sender_ip = host,
                                   .target_mac = {},
                                   .target_ip = Ip(10, 7, 0, 1)}),
                          7),
                   network.nic0);
  ASSERT_EQ(reply.size(), 1u);
  EXPECT_EQ(Load16(&reply[0][12]), kEtherTypeVlan);
  EXPECT_EQ(Load16(&reply[0][14]), 7);
  Packet packet = network.FromAlice();
  packet.destination = host;
  packet.payload.resize(800);
  auto out = network.Pass(network.alice, Make(packet), network.nic0, 77);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(Load16(&out[0][12]), kEtherTypeVlan);
  EXPECT_EQ(Load16(&out[0][14]), 7);
  out[0].erase(out[0].begin() + 12, out[0].begin() + 16);
  EXPECT_TRUE(Read(out[0]).good_sums);
  EXPECT_EQ(Read(out[0]).destination, host);
  Packet back = {.from = kHost,
                 .to = kNic0Mac,
                 .source = host,
                 .destination = kAlice,
                 .payload = Bytes(900)};
  const auto in =
      network.Pass(network.nic0, Tagged(Make(back), 7), network.alice, 99);
  ASSERT_EQ(in.size(), 1u);
  EXPECT_TRUE(Read(in[0]).good_sums);
  EXPECT_EQ(Read(in[0]).source, host);
}

TEST(Uplink, S8_TagsOfNoDomain) {
  Network network(VlanConfigOf());
  network.LearnGateway();
  Packet packet = network.FromAlice();
  network.ExpectDrop(network.alice, Tagged(Make(packet), 7), "vlan_filter");
  packet.from = kGatewayMac;
  packet.to = kNic0Mac;
  network.ExpectDrop(network.nic0, Tagged(Make(packet), 8), "vlan_filter");
  network.ExpectDrop(network.nic0, Tagged(Tagged(Make(packet), 3), 7),
                     "unhandled_proto");
  Bytes cut = Tagged(Make(packet), 7);
  cut.resize(16);
  network.ExpectDrop(network.nic0, cut, "pkt_too_small");
}

}  // namespace
}  // namespace bulkhead::nic_router
