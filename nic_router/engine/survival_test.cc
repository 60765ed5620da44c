// What outlives a restart of the router, another configuration, another
// address; and what does not.
#include <cstring>

#include "nic_router/engine/state_memory.h"
#include "nic_router/engine/test_network.h"

namespace bulkhead::nic_router {
namespace {

// A link that was answered, and how its next packet left.
struct Link {
  Bytes packet;
  Seen seen;
};
Link OpenLink(Network& network, uint8_t protocol = kProtocolTcp) {
  network.LearnGateway();
  Packet packet = network.FromAlice();
  packet.protocol = protocol;
  network.nic0.Take();
  const auto out = network.Pass(network.alice, Make(packet), network.nic0);
  EXPECT_EQ(out.size(), 1u);
  const Seen seen = Read(out.at(0));
  Packet answer = network.Answer(seen);
  answer.tcp_flags = kTcpSyn | kTcpAck;
  EXPECT_EQ(network.Pass(network.nic0, Make(answer), network.alice).size(), 1u);
  packet.tcp_flags = kTcpAck;
  return {Make(packet), seen};
}

StateHeader& HeaderOf(Network& network) {
  return *reinterpret_cast<StateHeader*>(network.state().data());
}

void FillWithGarbage(std::span<uint8_t> memory) {
  uint32_t random = 1;
  for (uint8_t& byte : memory) {
    random = random * 1664525 + 1013904223;
    byte = static_cast<uint8_t>(random >> 24);
  }
}

// A new router with the old state: links and neighbours go on, both ways,
// without a question asked.
TEST(Restart, S6_LinksAndNeighboursSurvive) {
  for (const bool inside_first : {true, false}) {
    Network network;
    const Link link = OpenLink(network);
    network.Restart(NatConfig());
    network.AddDefaults();
    EXPECT_EQ(network.Counter("links_adopted"), 1u);
    EXPECT_EQ(network.Counter("links_not_believed"), 0u);
    Packet answer = network.Answer(link.seen);
    answer.tcp_flags = kTcpAck;
    if (inside_first) {
      const auto out = network.Pass(network.alice, link.packet, network.nic0);
      ASSERT_EQ(out.size(), 1u);
      EXPECT_EQ(Read(out[0]).source_port, link.seen.source_port);
      EXPECT_EQ(Read(out[0]).to, kGatewayMac);
    }
    EXPECT_EQ(network.Pass(network.nic0, Make(answer), network.alice).size(),
              1u);
    ASSERT_EQ(network.engine().Links().rows.size(), 1u);
    EXPECT_EQ(network.engine().Links().rows[0][1], "alice");
    EXPECT_EQ(network.engine().Links().rows[0][8], "open");
    EXPECT_EQ(network.Drops(), 0u);
  }
}

// And the ports that they use are not given out again.
TEST(Restart, QuotasSurvive) {
  RouterConfig config = NatConfig();
  config.domains[1].nat[0].tcp_ports = 1;
  Network network(config);
  const Link link = OpenLink(network);
  network.Restart(config);
  network.AddDefaults();
  Packet other = network.FromAlice();
  other.protocol = kProtocolTcp;
  other.source_port = 1001;
  network.ExpectDrop(network.alice, Make(other), "nat_quota");
}

// Whatever byte of an entry was changed in between: it is not believed, or the
// change was to what nobody relies on. Nothing else than the link's own packet
// is ever forwarded by it.
TEST(Restart, S7_ChangedEntriesAreNotBelieved) {
  Network network;
  const Link link = OpenLink(network, kProtocolUdp);
  const StateLayout layout(NatConfig().max_flows, Engine::kLeaseBytes);
  auto* const flows = reinterpret_cast<Flow*>(&network.state()[layout.flows]);
  Flow* flow = flows;
  while (flow->state == FlowState::kFree) ++flow;
  const Flow good = *flow;
  for (size_t byte = 0; byte < sizeof(Flow); ++byte) {
    std::memset(static_cast<void*>(flows), 0,
                NatConfig().max_flows * sizeof(Flow));
    HeaderOf(network).flows_used = NatConfig().max_flows;
    *flow = good;
    reinterpret_cast<uint8_t*>(flow)[byte] ^= 0x41;
    network.Restart(NatConfig());
    const uint64_t adopted = network.Counter("links_adopted");
    EXPECT_EQ(network.Counter("links_not_believed"), 1 - adopted) << byte;
    if (adopted == 1) {
      network.AddDefaults();
      EXPECT_EQ(network
                    .Pass(network.nic0, Make(network.Answer(link.seen)),
                          network.alice)
                    .size(),
                1u)
          << byte;
    }
    for (FakePort* port : {&network.alice, &network.bob, &network.nic0}) {
      port->Take();
    }
  }
}

TEST(Restart, S7_ForeignStateIsEmptied) {
  Network network;
  OpenLink(network);
  for (uint8_t& byte : network.state()) byte ^= 0x5a;
  network.Restart(NatConfig());
  EXPECT_EQ(network.Counter("links"), 0u);
  network.AddDefaults();
  OpenLink(network);
}

// Garbage in every entry, and a header that is good, but for how much of it is
// to be read.
TEST(Restart, S7_GarbageIsNotBelieved) {
  Network network;
  const StateLayout layout(NatConfig().max_flows, Engine::kLeaseBytes);
  FillWithGarbage(
      network.state().subspan(layout.flows, layout.leases - layout.flows));
  HeaderOf(network).flows_used = 0xffffffff;
  network.Restart(NatConfig());
  EXPECT_EQ(network.Counter("links_not_believed"), 256u);
  EXPECT_EQ(network.Counter("links"), 0u);
  network.AddDefaults();
  OpenLink(network);
}

// The rules of today decide over the links of yesterday.
TEST(Restart, LinksThatTheRulesForbidEnd) {
  Network network;
  OpenLink(network);
  RouterConfig config = NatConfig();
  config.domains[0].tcp.clear();
  network.Restart(config);
  EXPECT_EQ(network.Counter("links_not_believed"), 1u);
}

// Entries that were never used are not read: they cost a restart no time and
// the machine no memory.
TEST(Restart, OnlyWhatWasUsedIsRead) {
  Network network;
  const Link link = OpenLink(network);
  EXPECT_EQ(HeaderOf(network).flows_used, 1u);
  const StateLayout layout(NatConfig().max_flows, Engine::kLeaseBytes);
  FillWithGarbage(
      network.state().subspan(layout.flows + sizeof(Flow),
                              layout.neighbours - layout.flows - sizeof(Flow)));
  network.Restart(NatConfig());
  network.AddDefaults();
  EXPECT_EQ(network.Counter("links_adopted"), 1u);
  EXPECT_EQ(network.Counter("links_not_believed"), 0u);
  EXPECT_EQ(network.Pass(network.alice, link.packet, network.nic0).size(), 1u);
  EXPECT_EQ(network.engine().Links().rows.size(), 1u);
}

TEST(Restart, LeaseMemoryIsKept) {
  Network network;
  network.engine().lease_memory()[17] = 42;
  network.Restart(NatConfig());
  EXPECT_EQ(network.engine().lease_memory()[17], 42);
}

struct Change {
  const char* name;
  void (*change)(RouterConfig&);
  bool stays;
};

// Another configuration: a link that it would make again goes on as it is.
TEST(Reconfigure, LinksStayWhereTheyAreAllowed) {
  const Change cases[] = {
      {"nothing", [](RouterConfig&) {}, true},
      {"another domain before the others",
       [](RouterConfig& c) {
         DomainConfig lab;
         lab.name = "lab";
         c.domains.insert(c.domains.begin(), lab);
       },
       true},
      {"another rule for another port",
       [](RouterConfig& c) {
         c.domains[0].tcp[0].permit = {{.port = 443, .domain = "guests"}};
       },
       true},
      {"a rule that leads this port elsewhere",
       [](RouterConfig& c) {
         c.domains[0].tcp[0].permit = {{.port = 53, .domain = "guests"}};
       },
       false},
      {"no tcp rule", [](RouterConfig& c) { c.domains[0].tcp.clear(); }, false},
      {"another address outside",
       [](RouterConfig& c) {
         c.domains[1].interface = Ipv4Prefix{Ip(10, 9, 0, 2), 24};
       },
       false},
      {"no NAT", [](RouterConfig& c) { c.domains[1].nat.clear(); }, false},
      {"a quota of none",
       [](RouterConfig& c) { c.domains[1].nat[0].tcp_ports = 0; }, false},
      {"the client is in another domain",
       [](RouterConfig& c) {
         DomainConfig lab;
         lab.name = "lab";
         c.domains.push_back(lab);
         c.policies = {{.label = "", .domain = "lab"}};
       },
       false},
      {"the domain is gone",
       [](RouterConfig& c) {
         c.domains[0].name = "visitors";
         c.domains[1].nat[0].domain = "visitors";
         c.policies = {{.label = "", .domain = "visitors"}};
       },
       false},
  };
  for (const Change& each : cases) {
    Network network;
    const Link link = OpenLink(network);
    RouterConfig config = NatConfig();
    each.change(config);
    const auto removed = network.engine().Reconfigure(config, network.now());
    ASSERT_TRUE(removed.ok()) << each.name << ": " << removed.status();
    EXPECT_TRUE(removed->empty()) << each.name;
    EXPECT_EQ(network.Counter("links"), each.stays ? 1u : 0u) << each.name;
    if (!each.stays) continue;
    const auto out = network.Pass(network.alice, link.packet, network.nic0);
    ASSERT_EQ(out.size(), 1u) << each.name;
    EXPECT_EQ(Read(out[0]).source_port, link.seen.source_port) << each.name;
    EXPECT_EQ(
        network
            .Pass(network.nic0, Make(network.Answer(link.seen)), network.alice)
            .size(),
        1u)
        << each.name;
  }
}

// A client that no policy leads anywhere any more is let go; the others stay.
TEST(Reconfigure, ClientsWithoutPolicyAreRemoved) {
  Network network;
  OpenLink(network);
  RouterConfig config = NatConfig();
  config.policies = {
      {.kind = PolicyRule::Kind::kExact, .label = "bob", .domain = "guests"}};
  const auto removed = network.engine().Reconfigure(config, network.now());
  ASSERT_TRUE(removed.ok());
  EXPECT_EQ(*removed, std::vector<MemberId>{network.alice_id()});
  EXPECT_EQ(network.Counter("links"), 0u);
  EXPECT_EQ(network.engine().DomainOf(network.alice_id()), "");
  EXPECT_EQ(network.engine().DomainOf(network.bob_id()), "guests");
  EXPECT_EQ(
      network.Pass(network.bob, Make(network.FromBob()), network.nic0).size(),
      1u);
}

TEST(Reconfigure, AWrongOneChangesNothing) {
  Network network;
  const Link link = OpenLink(network);
  RouterConfig config = NatConfig();
  config.domains[0].tcp[0].permit_any = "nowhere";
  EXPECT_FALSE(network.engine().Reconfigure(config, network.now()).ok());
  config = NatConfig();
  config.max_flows *= 2;
  EXPECT_FALSE(network.engine().Reconfigure(config, network.now()).ok());
  EXPECT_EQ(network.Pass(network.alice, link.packet, network.nic0).size(), 1u);
}

// An uplink group that changed waits for its ports; one that did not keeps
// them.
TEST(Reconfigure, UplinksThatChangedComeAnew) {
  Network network;
  const Link link = OpenLink(network);
  RouterConfig config = NatConfig();
  config.uplinks[0].instances = {"nic7"};
  ASSERT_TRUE(network.engine().Reconfigure(config, network.now()).ok());
  network.ExpectDrop(network.alice, link.packet, "no_link");
  FakePort nic7(kNic0Mac);
  ASSERT_TRUE(network.engine().AddUplink(0, 0, &nic7, network.now()).ok());
  EXPECT_EQ(network.Pass(network.alice, link.packet, nic7).size(), 2u);
}

// An uplink whose address comes from DHCP: its links outlive the restart of
// the router too, if the address is the same again.
TEST(Identity, LinksWaitForTheirAddress) {
  RouterConfig config = NatConfig();
  config.domains[1].interface.reset();
  config.domains[1].gateway.reset();
  for (const bool same : {true, false}) {
    Network network(config);
    Packet packet = network.FromAlice();
    packet.protocol = kProtocolTcp;
    network.ExpectDrop(network.alice, Make(packet), "no_identity");
    network.engine().SetIdentity("uplink", Ipv4Prefix{kUplinkRouter, 24},
                                 kGateway, network.now());
    network.Run();
    const Link link = OpenLink(network);
    network.Restart(config);
    network.AddDefaults();
    EXPECT_EQ(network.Counter("links"), 1u);
    network.ExpectDrop(network.alice, link.packet, "no_identity");
    network.engine().SetIdentity(
        "uplink", Ipv4Prefix{same ? kUplinkRouter : Ip(10, 9, 0, 5), 24},
        kGateway, network.now());
    network.Run();
    network.nic0.Take();
    EXPECT_EQ(network.Counter("links"), same ? 1u : 0u);
    const auto out = network.Pass(network.alice, link.packet, network.nic0);
    ASSERT_EQ(out.size(), 1u);
    if (same) {
      EXPECT_EQ(Read(out[0]).source_port, link.seen.source_port);
    }
  }
}

}  // namespace
}  // namespace bulkhead::nic_router
