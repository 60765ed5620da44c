// Within a domain: who may send as whom, where frames go, and who answers ARP.
#include "nic_router/engine/test_network.h"

namespace bulkhead::nic_router {
namespace {

Bytes Plain(const MacAddress& from, const MacAddress& to) {
  Bytes frame(60, 0x55);
  StoreMac(&frame[0], to);
  StoreMac(&frame[6], from);
  Store16(&frame[12], 0x88b5);  // IEEE's for experiments.
  return frame;
}

// Alice, bob, and both NICs of the group in one domain: a switch to the
// outside.
RouterConfig SwitchConfig() {
  RouterConfig config;
  DomainConfig lan;
  lan.name = "lan";
  config.domains = {lan};
  config.uplinks = {{.instances = {"nic0"}, .domain = "lan", .vlans = {}}};
  config.policies = {{.label = "", .domain = "lan"}};
  config.max_flows = 64;
  return config;
}

// Clients reach each other, and nobody else hears it.
TEST(Switch, UnicastBetweenClients) {
  Network network(SwitchConfig());
  const Bytes frame = Plain(kAliceMac, kBobMac);
  EXPECT_EQ(network.Pass(network.alice, frame, network.bob),
            std::vector<Bytes>{frame});
  EXPECT_TRUE(network.nic0.Take().empty());
}

// A MAC that no client has lies behind the uplink; one from there is learned,
// and no client hears what is for it.
TEST(Switch, TheOutsideIsBehindTheUplink) {
  Network network(SwitchConfig());
  const Bytes out = Plain(kAliceMac, kGatewayMac);
  EXPECT_EQ(network.Pass(network.alice, out, network.nic0).size(), 1u);
  EXPECT_TRUE(network.bob.Take().empty());
  const Bytes in = Plain(kGatewayMac, kAliceMac);
  EXPECT_EQ(network.Pass(network.nic0, in, network.alice).size(), 1u);
  EXPECT_TRUE(network.bob.Take().empty());
  network.ExpectDrop(network.nic0, Plain(kGatewayMac, {2, 9, 9, 9, 9, 9}),
                     "otherhost");
}

TEST(Switch, BroadcastReachesAllButItsSender) {
  Network network(SwitchConfig());
  const Bytes frame = Plain(kAliceMac, kBroadcastMac);
  network.alice.Put(frame);
  network.Run();
  EXPECT_EQ(network.bob.Take().size(), 1u);
  EXPECT_EQ(network.nic0.Take().size(), 1u);
  EXPECT_TRUE(network.alice.Take().empty());
  EXPECT_EQ(network.Drops(), 0u);
}

// Frames that pretend, each in its own counter.
TEST(Switch, S8_SpoofedFramesAreDropped) {
  Network network;
  network.LearnGateway();
  network.Pass(network.bob, Make(network.FromBob()), network.nic0);
  const auto arp = [](const MacAddress& from, const MacAddress& sender_mac,
                      Ipv4Address sender_ip) {
    return MakeArp(from, kBroadcastMac,
                   {.operation = kArpReply,
                    .sender_mac = sender_mac,
                    .sender_ip = sender_ip,
                    .target_mac = {},
                    .target_ip = kBob});
  };
  Packet packet = network.FromAlice();
  packet.from = kBobMac;
  network.ExpectDrop(network.alice, Make(packet), "mac_invalid_source");
  packet = network.FromAlice();
  packet.source = kBob;
  network.ExpectDrop(network.alice, Make(packet), "ip_spoofed_source", "bob's");
  packet.source = kGuestsRouter;
  network.ExpectDrop(network.alice, Make(packet), "ip_spoofed_source",
                     "the router's");
  packet.source = kServer;
  network.ExpectDrop(network.alice, Make(packet), "ip_spoofed_source",
                     "of no domain");
  for (const Ipv4Address source :
       {Ip(0, 0, 0, 0), Ip(127, 0, 0, 1), Ip(224, 0, 0, 1),
        Ip(255, 255, 255, 255), Ip(10, 0, 1, 255), Ip(10, 0, 1, 0)}) {
    packet.source = source;
    network.ExpectDrop(network.alice, Make(packet), "ip_invalid_source");
  }
  network.ExpectDrop(network.alice, arp(kAliceMac, kBobMac, kAlice),
                     "arp_spoofed", "another MAC");
  network.ExpectDrop(network.alice, arp(kAliceMac, kAliceMac, kBob),
                     "arp_spoofed", "bob's address");
  network.ExpectDrop(network.alice, arp(kAliceMac, kAliceMac, kGuestsRouter),
                     "arp_spoofed", "the router's address");
  network.ExpectDrop(network.nic0, arp(kGatewayMac, kGatewayMac, kUplinkRouter),
                     "arp_spoofed", "the router's address outside");
  network.ExpectDrop(network.nic0,
                     Make({.from = kGatewayMac,
                           .to = kNic0Mac,
                           .source = kUplinkRouter,
                           .destination = kUplinkRouter}),
                     "ip_spoofed_source", "land");
  network.ExpectDrop(network.nic0, Plain(kNic0Mac, kBroadcastMac), "loopback");
}

// An address that DHCP gave to a client is nobody else's, and its only one.
TEST(Switch, S8_LeasedAddresses) {
  Network network;
  network.LearnGateway();
  Packet bob = network.FromBob();
  bob.source = kAlice;  // First come, without a lease.
  EXPECT_EQ(network.Pass(network.bob, Make(bob), network.nic0).size(), 1u);
  network.engine().BindAddress(network.alice_id(), kAlice);
  network.ExpectDrop(network.bob, Make(bob), "ip_spoofed_source");
  EXPECT_EQ(network.Pass(network.alice, Make(network.FromAlice()), network.nic0)
                .size(),
            1u);
  Packet other = network.FromAlice();
  other.source = Ip(10, 0, 1, 77);
  network.ExpectDrop(network.alice, Make(other), "ip_spoofed_source");
}

// One client cannot claim the whole network.
TEST(Switch, S8_AddressesOfAClientAreBounded) {
  Network network;
  network.LearnGateway();
  Packet packet = network.FromAlice();
  for (uint8_t i = 0; i < 16; ++i) {
    packet.source = Ip(10, 0, 1, 100u + i);
    EXPECT_EQ(network.Pass(network.alice, Make(packet), network.nic0).size(),
              1u);
  }
  packet.source = Ip(10, 0, 1, 200);
  network.ExpectDrop(network.alice, Make(packet), "too_many_addresses");
}

// The router answers for its address on each side with that side's MAC.
TEST(Arp, AnswersForItself) {
  Network network;
  const auto reply = network.Pass(network.alice,
                                  MakeArp(kAliceMac, kBroadcastMac,
                                          {.sender_mac = kAliceMac,
                                           .sender_ip = kAlice,
                                           .target_mac = {},
                                           .target_ip = kGuestsRouter}),
                                  network.alice);
  ASSERT_EQ(reply.size(), 1u);
  const auto arp = ArpView::In(std::span(reply[0]).subspan(14));
  ASSERT_TRUE(arp.has_value());
  EXPECT_EQ(arp->operation(), kArpReply);
  EXPECT_EQ(arp->sender_mac(), network.engine().RouterMac("guests"));
  EXPECT_EQ(arp->target_mac(), kAliceMac);
  EXPECT_TRUE(network.bob.Take().empty());
}

// The first frame waits while its next hop is asked for; the answer lets it go,
// and the ones after it do not wait.
TEST(Arp, FramesWaitForTheirNextHop) {
  Network network;
  network.alice.Put(Make(network.FromAlice()));
  network.Run();
  auto out = network.nic0.Take();
  ASSERT_EQ(out.size(), 1u);
  EXPECT_TRUE(IsArp(out[0]));
  EXPECT_EQ(network.Counter("waiting"), 1u);
  EXPECT_EQ(network.Drops(), 0u);
  out = network.Pass(network.nic0,
                     MakeArp(kGatewayMac, kNic0Mac,
                             {.operation = kArpReply,
                              .sender_mac = kGatewayMac,
                              .sender_ip = kGateway,
                              .target_mac = kNic0Mac,
                              .target_ip = kUplinkRouter}),
                     network.nic0);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(Read(out[0]).destination, kServer);
  EXPECT_TRUE(Read(out[0]).good_sums);
  EXPECT_EQ(network.Counter("waiting"), 0u);
  EXPECT_EQ(network.engine().Links().rows.size(), 1u);
}

// Nobody answers: it is asked again each second, then the sender is told.
TEST(Arp, S8_NobodyAnswers) {
  Network network;
  network.alice.Put(Make(network.FromAlice()));
  network.Run();
  for (int second = 1; second < 10; ++second) {
    network.Advance(kSecond);
    EXPECT_EQ(network.nic0.Take().size(), 1u + (second == 1)) << second;
  }
  EXPECT_EQ(network.Drops(), 0u);
  network.Advance(2 * kSecond);
  EXPECT_EQ(network.Counter("drop_neigh_failed"), 1u);
  const auto told = network.alice.Take();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(Read(told[0]).icmp_type, kIcmpUnreachable);
  EXPECT_EQ(Read(told[0]).icmp_code, kIcmpHostUnreachable);
}

// Few frames of one sender wait, and the rest of them is counted.
TEST(Arp, S8_WaitingIsBounded) {
  Network network;
  for (uint16_t i = 0; i < 40; ++i) {
    Packet packet = network.FromAlice();
    packet.source_port = static_cast<uint16_t>(100 + i);
    network.alice.Put(Make(packet));
  }
  network.Run();
  EXPECT_EQ(network.Counter("waiting"), 16u);
  EXPECT_EQ(network.Counter("drop_neigh_queuefull"), 24u);
  network.engine().Remove(network.alice_id());
  EXPECT_EQ(network.Counter("waiting"), 0u);
  EXPECT_EQ(network.Counter("drop_member_removed"), 16u);
}

// A MAC that was asked for long ago is asked for again while it is used.
TEST(Arp, EntriesAreConfirmed) {
  Network network;
  network.LearnGateway();
  network.Advance(61 * kSecond);
  const auto out =
      network.Pass(network.alice, Make(network.FromAlice()), network.nic0);
  ASSERT_EQ(out.size(), 2u);
  EXPECT_TRUE(IsArp(out[0]));
  EXPECT_EQ(EthernetView::In(out[0])->destination(), kGatewayMac);
  EXPECT_FALSE(IsArp(out[1]));
}

}  // namespace
}  // namespace bulkhead::nic_router
