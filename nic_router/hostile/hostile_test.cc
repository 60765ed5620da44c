// A client that attacks its neighbours or the router (REFERENCE 8, attack 25,
// and malformed packets): each attempt ends in one counter with a name, and
// reaches nobody.
#include <functional>

#include "nic_router/hostile/hostile_network.h"

namespace bulkhead::nic_router {
namespace {

// Bob's attempt.
struct Attempt {
  std::string what;
  Bytes frame;
  std::string end;
};

void ExpectAllEnd(HostileNetwork& network,
                  const std::vector<Attempt>& attempts) {
  for (const Attempt& attempt : attempts) {
    network.ExpectEnd(network.bob, attempt.frame, attempt.end, attempt.what);
    EXPECT_TRUE(network.alice.Take().empty()) << attempt.what;
    EXPECT_TRUE(network.nic0.Take().empty()) << attempt.what;
    network.TakeAll();
  }
}

Bytes BobsArp(uint16_t operation, const MacAddress& sender_mac,
              Ipv4Address sender, Ipv4Address target) {
  return MakeArp(kBobMac, kBroadcastMac,
                 {.operation = operation,
                  .sender_mac = sender_mac,
                  .sender_ip = sender,
                  .target_mac = {},
                  .target_ip = target});
}

// Bob says by ARP that he is the router, or Alice, or has Alice's MAC.
TEST(Hostile, S8_ArpSpoofing) {
  HostileNetwork network;
  ExpectAllEnd(
      network,
      {{"the router's address",
        BobsArp(kArpReply, kBobMac, kGuestsRouter, kAlice), "arp_spoofed"},
       {"the router's address, gratuitous",
        BobsArp(kArpRequest, kBobMac, kGuestsRouter, kGuestsRouter),
        "arp_spoofed"},
       {"Alice's address", BobsArp(kArpReply, kBobMac, kAlice, kGuestsRouter),
        "arp_spoofed"},
       {"Alice's MAC", BobsArp(kArpReply, kAliceMac, kBob, kGuestsRouter),
        "arp_spoofed"},
       {"no host's address",
        BobsArp(kArpReply, kBobMac, 0xffffffff, kGuestsRouter),
        "arp_spoofed"}});
}

// Bob sends as somebody else.
TEST(Hostile, S8_SourceAddresses) {
  HostileNetwork network;
  const auto packet = [&network](const std::function<void(Packet&)>& change) {
    Packet made = network.FromBob();
    change(made);
    return Make(made);
  };
  ExpectAllEnd(
      network,
      {{"Alice's MAC", packet([](Packet& p) { p.from = kAliceMac; }),
        "mac_invalid_source"},
       {"a multicast MAC", packet([](Packet& p) { p.from[0] |= 1; }),
        "mac_invalid_source"},
       {"Alice's address", packet([](Packet& p) { p.source = kAlice; }),
        "ip_spoofed_source"},
       {"the router's", packet([](Packet& p) { p.source = kGuestsRouter; }),
        "ip_spoofed_source"},
       {"another network's", packet([](Packet& p) { p.source = kServer; }),
        "ip_spoofed_source"},
       {"loopback", packet([](Packet& p) { p.source = Ip(127, 0, 0, 1); }),
        "ip_invalid_source"},
       {"multicast", packet([](Packet& p) { p.source = Ip(224, 0, 0, 1); }),
        "ip_invalid_source"},
       {"the network's broadcast",
        packet([](Packet& p) { p.source = Ip(10, 0, 1, 255); }),
        "ip_invalid_source"},
       {"none", packet([](Packet& p) { p.source = 0; }), "ip_invalid_source"}});
}

// Bob plays the router of IPv6, or takes Alice's address.
TEST(Hostile, S8_NeighbourDiscoverySpoofing) {
  HostileNetwork network;
  const MacAddress all =
      ipv6::MulticastMac({0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
  const Ipv6Address everybody = {0xff, 2, 0, 0, 0, 0, 0, 0,
                                 0,    0, 0, 0, 0, 0, 0, 1};
  const Ipv6Address bobs = ipv6::LinkLocal(kBobMac);
  const auto frame = [&](const Ipv6Address& source, const Bytes& message,
                         uint8_t hop_limit = 255) {
    return MakeIcmp6(kBobMac, all, source, everybody, message, hop_limit);
  };
  Bytes advertisement(16);
  advertisement[0] = 134;
  Bytes redirect(40);
  redirect[0] = 137;
  ExpectAllEnd(
      network,
      {{"router advertisement", frame(bobs, advertisement), "nd_spoofed"},
       {"redirect", frame(bobs, redirect), "nd_spoofed"},
       {"the router's address",
        frame(bobs, NeighbourMessage(136, kGuestsRouter6, kBobMac)),
        "nd_spoofed"},
       {"as the router",
        frame(kGuestsRouter6, NeighbourMessage(136, kGuestsRouter6, kBobMac)),
        "ip_spoofed_source"},
       {"Alice's address",
        frame(bobs, NeighbourMessage(136, Guest6(2), kBobMac)), "nd_spoofed"},
       {"the router's link-local address",
        frame(bobs,
              NeighbourMessage(
                  136, ipv6::LinkLocal(network.engine().RouterMac("guests")),
                  kBobMac)),
        "nd_spoofed"},
       {"as Alice", frame(Guest6(2), NeighbourMessage(136, Guest6(2), kBobMac)),
        "ip_spoofed_source"},
       {"another network's",
        frame({0x20, 1, 0xd, 0xb8}, NeighbourMessage(136, Guest6(3), kBobMac)),
        "ip_spoofed_source"}});
}

// Bob plays the DHCP server, asks in Alice's name, sends what is no message.
TEST(Hostile, S8_DhcpSpoofing) {
  HostileNetwork network;
  dhcp::Message offer = MakeDiscover(kAliceMac);
  offer.reply = true;
  offer.type = dhcp::MessageType::kOffer;
  Packet garbage = {.from = kBobMac,
                    .to = kBroadcastMac,
                    .source = 0,
                    .destination = 0xffffffff,
                    .source_port = 68,
                    .destination_port = 67,
                    .payload = Bytes(1000, 0x63)};
  Packet server = network.FromBob();
  server.to = kAliceMac;
  server.source_port = 67;
  server.destination = kAlice;
  server.destination_port = 68;
  ExpectAllEnd(
      network,
      {{"an offer to Alice", Make(server), "dhcp_spoofed"},
       {"an offer to the server", MakeDhcp(kBobMac, offer), "dhcp_not_for_us"},
       {"for Alice's MAC", MakeDhcp(kBobMac, MakeDiscover(kAliceMac)),
        "dhcp_spoofed_hardware"},
       {"garbage", Make(garbage), "dhcp_malformed"}});
}

// The range has one address: Bob cannot have more than that one, and who comes
// too late is counted.
TEST(Hostile, S8_DhcpExhaustion) {
  HostileNetwork network;
  for (int i = 0; i < 3; ++i) {
    network.ExpectEnd(network.alice,
                      MakeDhcp(kAliceMac, MakeDiscover(kAliceMac)),
                      "dhcp_taken", "Alice asks");
    EXPECT_EQ(network.alice.Take().size(), 1u);
    EXPECT_TRUE(network.bob.Take().empty());
  }
  network.ExpectEnd(network.bob, MakeDhcp(kBobMac, MakeDiscover(kBobMac)),
                    "dhcp_range_exhausted", "Bob asks");
}

// An address that was leased is its client's alone from then on, even before it
// was used.
TEST(Hostile, S8_LeasedAddressIsNobodyElses) {
  HostileNetwork network;
  network.Pass(network.alice, MakeDhcp(kAliceMac, MakeDiscover(kAliceMac)),
               network.alice);
  dhcp::Message request = MakeDiscover(kAliceMac);
  request.type = dhcp::MessageType::kRequest;
  request.server_identifier = kGuestsRouter;
  request.requested_address = Ip(10, 0, 1, 100);
  network.ExpectEnd(network.alice, MakeDhcp(kAliceMac, request), "dhcp_taken",
                    "Alice's lease");
  network.TakeAll();
  Packet packet = network.FromBob();
  packet.source = Ip(10, 0, 1, 100);
  network.ExpectEnd(network.bob, Make(packet), "ip_spoofed_source",
                    "Bob uses it");
  network.ExpectEnd(
      network.bob,
      BobsArp(kArpReply, kBobMac, Ip(10, 0, 1, 100), kGuestsRouter),
      "arp_spoofed", "Bob claims it");
  // Alice uses it, and no longer her old one.
  packet = network.FromAlice();
  packet.source = Ip(10, 0, 1, 100);
  EXPECT_EQ(network.Pass(network.alice, Make(packet), network.nic0).size(), 1u);
  network.ExpectEnd(network.alice, Make(network.FromAlice()),
                    "ip_spoofed_source", "the old one");
}

// Bob floods; Alice's frame passes in the first turn, and every one of Bob's is
// delivered or counted.
TEST(Hostile, S8_BroadcastStorm) {
  HostileNetwork network;
  constexpr size_t kStorm = 5000;
  constexpr size_t kRoom = 1000;  // Buffers that Alice's session has free.
  network.alice.set_tx_room(kRoom);
  Packet storm = network.FromBob();
  storm.to = kBroadcastMac;
  storm.destination = Ip(10, 0, 1, 255);
  for (size_t i = 0; i < kStorm; ++i) network.bob.Put(Make(storm));
  network.alice.Put(Make(network.FromAlice()));
  const uint64_t drops = network.Drops();
  network.engine().Turn(network.now());
  EXPECT_EQ(network.nic0.Take().size(), 1u);
  EXPECT_GT(network.bob.waiting(), 0u);
  while (network.bob.waiting() > 0) network.Run();
  EXPECT_EQ(network.alice.Take().size(), kRoom);
  EXPECT_EQ(network.Drops() - drops, kStorm - kRoom);
  EXPECT_EQ(network.Ends()["full_ring"], kStorm - kRoom);
}

// Bob opens as many links as there are and more: what has no place is counted,
// and an established link of Alice's goes on.
TEST(Hostile, S8_NatExhaustion) {
  HostileNetwork network;
  network.Pass(network.alice, Make(network.FromAlice()), network.nic0);
  auto before = network.Ends();
  Packet packet = network.FromBob();
  uint64_t passed = 0;
  constexpr uint64_t kTries = 1000;
  for (uint64_t i = 0; i < kTries; ++i) {
    packet.source_port = static_cast<uint16_t>(2000 + i);
    passed += network.Pass(network.bob, Make(packet), network.nic0).size();
  }
  auto after = network.Ends();
  EXPECT_EQ(passed + after["nat_quota"] - before["nat_quota"], kTries);
  EXPECT_LE(passed, 100u);
  EXPECT_EQ(network.Pass(network.alice, Make(network.FromAlice()), network.nic0)
                .size(),
            1u);
}

// Every prefix of good frames, padded or not: it goes on whole, is answered, or
// ends in exactly one counter.
TEST(Hostile, S8_TruncatedFrames) {
  HostileNetwork network;
  const Bytes frames[] = {
      Make(network.FromBob()), MakeDhcp(kBobMac, MakeDiscover(kBobMac)),
      BobsArp(kArpRequest, kBobMac, kBob, kGuestsRouter),
      MakeIcmp6(kBobMac, network.engine().RouterMac("guests"), Guest6(3),
                kGuestsRouter6,
                NeighbourMessage(135, kGuestsRouter6, kBobMac))};
  for (const Bytes& whole : frames) {
    for (size_t size = 1; size < whole.size(); ++size) {
      uint64_t before = 0, after = 0;
      for (const auto& [name, value] : network.Ends()) before += value;
      network.bob.Put(Bytes(whole.begin(), whole.begin() + size));
      network.Run();
      for (const auto& [name, value] : network.Ends()) after += value;
      EXPECT_EQ(after, before + 1) << size << " of " << whole.size();
      network.TakeAll();
    }
  }
}

// Lengths that lie, bad sums, options that are none.
TEST(Hostile, S8_MalformedHeaders) {
  HostileNetwork network;
  const Bytes good = Make(network.FromBob());
  const auto with = [&good](const std::function<void(Bytes&)>& change,
                            bool sum = true) {
    Bytes frame = good;
    change(frame);
    if (sum) FixIpSum(frame);
    return frame;
  };
  const auto set16 = [](size_t at, uint16_t value) {
    return [at, value](Bytes& frame) { Store16(&frame[at], value); };
  };
  ExpectAllEnd(
      network,
      {{"IP longer than the frame", with(set16(16, 2000)), "ip_inhdr"},
       {"IP shorter than its header", with(set16(16, 19)), "ip_inhdr"},
       {"version 5", with([](Bytes& f) { f[14] = 0x55; }, false), "ip_inhdr"},
       {"header of 16 bytes", with([](Bytes& f) { f[14] = 0x44; }, false),
        "ip_inhdr"},
       {"header sum", with([](Bytes& f) { f[24] ^= 1; }, false), "ip_csum"},
       // Of a link that exists it is the receiver's to check.
       {"UDP sum of a new link", with([](Bytes& f) { f[35] ^= 1; }),
        "udp_csum"},
       {"no protocol", with([](Bytes& f) { f[12] = 0x12; }),
        "unhandled_proto"}});
}

}  // namespace
}  // namespace bulkhead::nic_router
