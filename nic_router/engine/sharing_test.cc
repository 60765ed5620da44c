// Between clients: turns, rates, policies, and what reports say of it.
#include "nic_router/engine/test_network.h"

namespace bulkhead::nic_router {
namespace {

// A client that floods gets its share of each turn, whoever else is there; a
// weight is so many shares.
TEST(Sharing, TurnsAreShared) {
  RouterConfig config = NatConfig();
  config.policies = {{.kind = PolicyRule::Kind::kExact,
                      .label = "alice",
                      .domain = "guests",
                      .weight = 2},
                     {.label = "", .domain = "guests"}};
  Network network(config);
  network.LearnGateway();
  for (int i = 0; i < 2000; ++i) {
    network.alice.Put(Make(network.FromAlice()));
    network.bob.Put(Make(network.FromBob()));
  }
  for (int turn = 0; turn < 10; ++turn) network.engine().Turn(network.now());
  const size_t alice = 2000 - network.alice.waiting();
  const size_t bob = 2000 - network.bob.waiting();
  EXPECT_NEAR(static_cast<double>(alice), 1000, 64);
  EXPECT_NEAR(static_cast<double>(bob), 500, 64);
}

// A rate holds back what is beyond it, in the client's own ring: nothing is
// lost, and the engine says when it goes on.
TEST(Sharing, RatesHoldBack) {
  RouterConfig config = NatConfig();
  config.policies[0].rate_bits_per_s = 8'000'000;  // 1 MB/s.
  config.policies[0].burst_bytes = 10'000;
  Network network(config);
  network.LearnGateway();
  Packet packet = network.FromAlice();
  packet.payload.resize(958);  // 1,000 bytes of frame.
  for (int i = 0; i < 600; ++i) network.alice.Put(Make(packet));
  network.Run(/*settled=*/false);
  size_t passed = network.nic0.Take().size();
  EXPECT_EQ(passed, 10u);
  const auto deadline = network.engine().NextDeadline();
  ASSERT_TRUE(deadline.has_value());
  EXPECT_GT(*deadline, network.now());
  EXPECT_LE(*deadline, network.now() + kSecond);
  for (int i = 0; i < 50; ++i) {
    network.Advance(kSecond / 100, /*settled=*/false);
    passed += network.nic0.Take().size();
  }
  EXPECT_NEAR(static_cast<double>(passed), 510, 1);
  EXPECT_EQ(network.Drops(), 0u);
}

// A rate so small that a frame would wait for seconds: then frames are dropped,
// so that a client cannot make the router look as if it hung, and its rate is
// what passes.
TEST(Sharing, S8_RatesBelowAFrameDrop) {
  RouterConfig config = NatConfig();
  config.policies[0].rate_bits_per_s = 8'000;  // 1 kB/s.
  config.policies[0].burst_bytes = 1'000;
  Network network(config);
  network.LearnGateway();
  Packet packet = network.FromAlice();
  packet.payload.resize(958);
  for (int i = 0; i < 100; ++i) network.alice.Put(Make(packet));
  network.Run(/*settled=*/false);
  size_t passed = network.nic0.Take().size();
  uint64_t frames = network.Counter("frames");
  for (int second = 0; second < 10; ++second) {
    for (int i = 0; i < 10; ++i) {
      network.Advance(kSecond / 10, /*settled=*/false);
    }
    EXPECT_GT(network.Counter("frames"), frames);
    frames = network.Counter("frames");
    passed += network.nic0.Take().size();
  }
  EXPECT_NEAR(static_cast<double>(passed), 10, 1);
  EXPECT_EQ(network.Counter("drop_rate_limit"), network.Drops());
  EXPECT_GT(network.Drops(), 0u);
}

// The first policy that matches decides; none refuses.
TEST(Sharing, Policies) {
  RouterConfig config = NatConfig();
  config.policies = {
      {.kind = PolicyRule::Kind::kExact, .label = "a", .domain = "uplink"},
      {.kind = PolicyRule::Kind::kPrefix, .label = "a/", .domain = "guests"},
      {.kind = PolicyRule::Kind::kSuffix, .label = "/z", .domain = "uplink"}};
  StateMemory state(Engine::StateBytes(config));
  auto engine = Engine::Create(config, state.span(), 0);
  ASSERT_TRUE(engine.ok());
  FakePort ports[4];
  auto domain = [&, i = 0](const char* label) mutable {
    const MacAddress mac = {2, 0, 0, 0, 0, static_cast<uint8_t>(i)};
    auto member = (*engine)->AddClient(label, mac, &ports[i++], 0);
    return member.ok() ? member->domain
                       : std::string(member.status().message());
  };
  EXPECT_EQ(domain("a"), "uplink");
  EXPECT_EQ(domain("a/z"), "guests");
  EXPECT_EQ(domain("b/z"), "uplink");
  EXPECT_NE(domain("b").find("no policy"), std::string::npos);
  EXPECT_EQ((*engine)->AddClient("a", {2}, &ports[3], 0).status().code(),
            absl::StatusCode::kAlreadyExists);
}

// Each rule counts what it let through.
TEST(Sharing, RulesCount) {
  Network network;
  network.LearnGateway();
  network.Pass(network.alice, Make(network.FromAlice()), network.nic0);
  network.Pass(network.alice, Make(network.FromAlice()), network.nic0);
  for (const auto& row : network.engine().Rules().rows) {
    EXPECT_EQ(row[3], row[1] == "udp" ? "2" : "0") << row[1];
    EXPECT_EQ(row[5], row[1] == "udp" ? "1" : "0") << row[1];
  }
}

// Explaining says what the packet then meets.
TEST(Sharing, ExplainTellsTheVerdict) {
  RouterConfig config = NatConfig();
  config.domains[0].tcp = {{.to = {},
                            .permit_any = "",
                            .permit = {{.port = 443, .domain = "uplink"}}}};
  config.domains[1].nat[0].udp_ports = 0;
  Network network(config);
  struct Case {
    const char* question;
    const char* last;
  };
  const Case cases[] = {
      {"tcp 192.0.2.7:443 from alice", "verdict: forwarded"},
      {"tcp 192.0.2.7:80 from alice",
       "rule: none of the domain's rules leads to this address and port: "
       "dropped as ip_innoroutes"},
      {"udp 192.0.2.7:53 from alice", "quota: used up: dropped as nat_quota"},
      {"icmp 10.0.1.1 from alice",
       "rule: the router itself answers echo requests"},
      {"tcp 10.0.1.3:22 from alice",
       "switch: 10.0.1.3 is in the domain's own network 10.0.1.1/24: reached "
       "without the router"},
  };
  for (const Case& each : cases) {
    const auto lines = network.engine().Explain(each.question);
    ASSERT_TRUE(lines.ok()) << each.question;
    EXPECT_EQ(lines->back(), each.last) << each.question;
  }
  for (const char* nonsense :
       {"", "tcp", "tcp 1.2.3.4 from a", "tcp 1.2.3.4:99999 from a",
        "udp 1.2.3:4 from a", "icmp x from a", "sctp 1.2.3.4:5 from a"}) {
    EXPECT_FALSE(network.engine().Explain(nonsense).ok()) << nonsense;
  }
}

}  // namespace
}  // namespace bulkhead::nic_router
