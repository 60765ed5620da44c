// Drives the router's host with a played supervisor and a played router: what a
// router is granted, what outlives it, and what becomes of one that says what
// it may not.
#include "platform_service/router/router_host.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "packet_stream/session.pb.h"
#include "platform_service/testing/fake_supervisor.h"

namespace bulkhead::platform {
namespace {

using nic_router::api::FromRouter;
using nic_router::api::RouterGrant;
using nic_router::api::ToRouter;
using packet_stream::SessionState;
using supervisor::FromSupervisor;
using supervisor::ProcessState;

// The router's side of one generation.
struct PlayedRouter {
  RouterGrant grant;
  std::vector<UniqueFd> fds;
  SeqpacketChannel channel;

  void Say(const FromRouter& message) { (void)channel.Send(message); }
  // The next message; an empty one if none waits.
  ToRouter Hear() {
    ToRouter message;
    std::vector<UniqueFd> got;
    (void)channel.Receive(&message, &got);
    last_fds = got.size();
    return message;
  }
  size_t last_fds = 0;
};

class RouterHostTest : public testing::Test {
 protected:
  RouterHostTest() : loop_(*EventLoop::Create()), supervisor_(*loop_) {
    SupervisorLink::Handlers handlers;
    handlers.died = [this](const auto& died) { host_->OnDied(died); };
    handlers.state = [this](const auto& state) { host_->OnState(state); };
    handlers.removed = [this](const auto&) { host_->OnRemoved(); };
    handlers.event = [](const auto&) {};
    handlers.parked = [](auto, auto, auto) {};
    handlers.restored = [](auto) {};
    handlers.refused = [](const auto&, const auto&) {};
    handlers.lost = [] {};
    link_ = *SupervisorLink::Create(*loop_, supervisor_.TakeChannel(),
                                    std::move(handlers));
    supervisor_.flush_events = [this] { link_->FlushEvents(); };
    MakeHost();
    spec_.config.domains.resize(1);
    spec_.config.domains[0].name = "lab";
    spec_.config.uplinks = {{{"nic0"}, "lab", {}}};
    spec_.config.policies = {
        {nic_router::PolicyRule::Kind::kPrefix, "vm-", "lab", 0, 0, 1}};
  }

  void MakeHost() {
    RouterHost::Hooks hooks;
    hooks.look = [this](const std::string& name) { return instances_[name]; };
    hooks.open = [this](const std::string& name, const std::string& label, int,
                        SeqpacketChannel) -> absl::StatusOr<uint64_t> {
      EXPECT_EQ(label, "router");
      return instances_[name].session_id = ++next_session_;
    };
    host_ = std::make_unique<RouterHost>(*loop_, *link_, "/bin/router",
                                         std::move(hooks));
  }

  PlayedRouter TakeGrant() {
    PlayedRouter router;
    FakeSupervisor::Order begin = supervisor_.TakeBegin();
    EXPECT_TRUE(begin.message.has_begin());
    EXPECT_TRUE(router.grant.ParseFromString(begin.message.begin().payload()));
    router.fds = std::move(begin.fds);
    if (router.grant.platform_fd() < router.fds.size()) {
      router.channel =
          SeqpacketChannel(std::move(router.fds[router.grant.platform_fd()]));
    }
    return router;
  }

  // Of the generation that was begun.
  PlayedRouter Attach() {
    PlayedRouter router = TakeGrant();
    ++generation_;
    Tell(ProcessState::RUNNING);
    FromRouter attached;
    attached.mutable_attached();
    router.Say(attached);
    supervisor_.Turn();
    EXPECT_EQ(host_->phase(), RouterHost::Phase::kAttached);
    return router;
  }

  PlayedRouter Bring() {
    host_->Apply(spec_);
    supervisor_.Turn();
    return Attach();
  }

  void Tell(ProcessState::Phase phase) {
    FromSupervisor message;
    message.mutable_state()->set_name("router");
    message.mutable_state()->set_phase(phase);
    message.mutable_state()->set_generation(generation_);
    supervisor_.Say(message);
  }

  void Die() {
    FromSupervisor message;
    message.mutable_died()->set_name("router");
    message.mutable_died()->set_generation(generation_);
    message.mutable_died()->set_cause("killed by signal 9");
    supervisor_.Say(message);
  }

  // A client's session, as the session server hands it over.
  const Session& Open(const std::string& label) {
    auto pair = SeqpacketChannel::CreatePair();
    clients_.push_back(std::move(pair->first));
    SessionIdentity identity;
    identity.id = ++next_session_;
    identity.label = label;
    identity.instance = "router";
    identity.geometry = {16, 16, 2048};
    auto session = Session::Create(*loop_, *link_, identity,
                                   std::move(pair->second), {}, nullptr);
    EXPECT_TRUE(session.ok());
    const Session& opened = **session;
    host_->OpenSession(*std::move(session));
    supervisor_.Turn();
    return opened;
  }

  std::unique_ptr<EventLoop> loop_;
  FakeSupervisor supervisor_;
  std::unique_ptr<SupervisorLink> link_;
  policy::RouterSpec spec_;
  std::map<std::string, RouterHost::InstanceState> instances_;
  std::vector<SeqpacketChannel> clients_;
  std::unique_ptr<RouterHost> host_;
  uint32_t generation_ = 0;
  uint64_t next_session_ = 0;
};

TEST_F(RouterHostTest, IsDefinedAsTheScenarioSays) {
  spec_.standby = true;
  spec_.limits = {8 << 20, {1}, 32};
  host_->Apply(spec_);
  supervisor_.Turn();
  const auto define =
      supervisor_.Take([](const auto& m) { return m.has_define(); });
  const auto& process = define.message.define().spec();
  EXPECT_EQ(process.name(), "router");
  EXPECT_EQ(process.program(), "/bin/router");
  EXPECT_TRUE(process.needs_payload());
  EXPECT_TRUE(process.warm_spare());
  EXPECT_EQ(process.memory_bytes(), 8u << 20);
  ASSERT_EQ(process.cpus_size(), 1);
  // Room for every client, whatever the file says.
  EXPECT_GE(process.max_fds(), 64u * 8);
  EXPECT_EQ(TakeGrant().grant.config().domain(0).name(), "lab");
}

TEST_F(RouterHostTest, AClientGetsAnAddressAndTheRouterItsFrames) {
  PlayedRouter router = Bring();
  const Session& session = Open("vm-1");
  const ToRouter open = router.Hear();
  ASSERT_TRUE(open.has_open_client());
  EXPECT_EQ(open.open_client().client().label(), "vm-1");
  EXPECT_EQ(router.last_fds, 6u);
  const auto status = session.status();
  EXPECT_EQ(std::string(status.mac.begin(), status.mac.end()),
            open.open_client().client().mac());
  EXPECT_EQ(status.mac[0], 0x02);
  EXPECT_EQ(status.mtu, 1500u);
  EXPECT_EQ(status.state, SessionState::kRunning);
  EXPECT_TRUE(status.link_up);
  EXPECT_NE(Open("vm-1").status().mac, status.mac);
}

// Shows that sessions live through the death of a router at a higher epoch,
// that the next one gets them and the state of the last, and that a client
// keeps its MAC address.
TEST_F(RouterHostTest, S6_SessionsAndStateOutliveTheRouter) {
  PlayedRouter router = Bring();
  FromRouter need;
  need.mutable_need_state()->set_bytes(8192);
  router.Say(need);
  supervisor_.Turn();
  EXPECT_EQ(router.Hear().state().bytes(), 8192u);
  const Session& session = Open("vm-1");
  const uint32_t epoch =
      router.Hear().open_client().client().epoch();
  const auto mac = session.status().mac;
  Die();
  EXPECT_EQ(session.status().state, SessionState::kRecovering);
  PlayedRouter next = TakeGrant();
  EXPECT_EQ(next.grant.state_bytes(), 8192u);
  const ToRouter open = next.Hear();
  EXPECT_EQ(open.open_client().client().session_id(), session.id());
  EXPECT_GT(open.open_client().client().epoch(), epoch);
  EXPECT_EQ(session.status().mac, mac);
  EXPECT_EQ(supervisor_.FindEvent("session_closed"), -1);
}

// Shows that the next platform service has the router, its sessions and its
// uplinks as they were, and offers each session again.
TEST_F(RouterHostTest, S6_SessionsOutliveThePlatformService) {
  instances_["nic0"] = {true, 0};
  PlayedRouter router = Bring();
  ASSERT_TRUE(router.Hear().has_open_uplink());
  const uint64_t id = Open("vm-1").id();
  const uint32_t epoch = router.Hear().open_client().client().epoch();
  supervisor_.Turn();
  ParkedEntries entries;
  std::vector<std::unique_ptr<Session>> sessions;
  for (auto& [key, order] : supervisor_.parked) {
    entries.emplace(key, ParkedEntry(order.message.park().state(),
                                     std::move(order.fds)));
  }
  MakeHost();
  host_->Restore(spec_, &entries);
  const std::string key = "session/" + std::to_string(id);
  auto session =
      Session::Restore(*loop_, *link_, std::move(entries.at(key)));
  ASSERT_TRUE(session.ok()) << session.status();
  host_->AdoptSession(*std::move(session));
  Tell(ProcessState::RUNNING);
  const ToRouter again = router.Hear();
  EXPECT_EQ(again.open_client().client().session_id(), id);
  EXPECT_EQ(again.open_client().client().epoch(), epoch);
  EXPECT_EQ(host_->Uplinks(),
            (std::vector<std::pair<std::string, bool>>{{"nic0", true}}));
  EXPECT_FALSE(supervisor_.Take([](const auto& m) { return m.has_restart(); })
                   .message.has_restart());
}

TEST_F(RouterHostTest, UplinksAreOpenedWhenTheyCanBe) {
  PlayedRouter router = Bring();
  EXPECT_FALSE(router.Hear().has_open_uplink());
  instances_["nic0"] = {true, 77};  // Somebody else has it.
  host_->SettleUplinks();
  EXPECT_FALSE(router.Hear().has_open_uplink());
  instances_["nic0"] = {true, 0};
  host_->SettleUplinks();
  EXPECT_EQ(router.Hear().open_uplink().instance(), "nic0");
  EXPECT_EQ(router.last_fds, 1u);
  host_->SettleUplinks();
  EXPECT_FALSE(router.Hear().has_open_uplink());
  instances_["nic0"].session_id = 0;  // It ended.
  FromRouter closed;
  closed.mutable_uplink_closed()->set_instance("nic0");
  router.Say(closed);
  supervisor_.Turn();
  EXPECT_TRUE(router.Hear().has_open_uplink());
}

TEST_F(RouterHostTest, AChangedConfigurationIsToldLive) {
  PlayedRouter router = Bring();
  Open("vm-1");
  const uint64_t kept = Open("vm-2").id();
  router.Hear();
  router.Hear();
  spec_.config.policies[0].kind = nic_router::PolicyRule::Kind::kExact;
  spec_.config.policies[0].label = "vm-2";
  host_->Apply(spec_);
  EXPECT_TRUE(router.Hear().has_close_client());
  EXPECT_EQ(router.Hear().configure().config().policy(0).label(), "vm-2");
  ASSERT_EQ(host_->sessions().size(), 1u);
  EXPECT_EQ(host_->sessions().begin()->first, kept);
  supervisor_.Turn();
  EXPECT_FALSE(supervisor_.Take([](const auto& m) { return m.has_remove(); })
                   .message.has_remove());
}

// Shows that other limits take another process, and that sessions live through
// it.
TEST_F(RouterHostTest, S6_SessionsOutliveADefinitionAfresh) {
  PlayedRouter router = Bring();
  const Session& session = Open("vm-1");
  spec_.config.max_flows = 64;
  host_->Apply(spec_);
  supervisor_.Turn();
  EXPECT_TRUE(supervisor_.Take([](const auto& m) { return m.has_remove(); })
                  .message.has_remove());
  FromSupervisor removed;
  removed.mutable_removed()->set_name("router");
  supervisor_.Say(removed);
  generation_ = 0;
  PlayedRouter next = Attach();
  EXPECT_EQ(next.grant.config().max_flows(), 64u);
  EXPECT_EQ(next.Hear().open_client().client().session_id(), session.id());
  EXPECT_EQ(session.status().state, SessionState::kRunning);
}

TEST_F(RouterHostTest, S10_NothingIsLeftOfARemovedRouter) {
  Bring();
  Open("vm-1");
  bool gone = false;
  host_->RemoveAll([&gone](bool was) { gone = was; });
  EXPECT_TRUE(host_->sessions().empty());
  FromSupervisor removed;
  removed.mutable_removed()->set_name("router");
  supervisor_.Say(removed);
  supervisor_.Turn();
  EXPECT_TRUE(gone);
  EXPECT_FALSE(host_->defined());
  EXPECT_TRUE(supervisor_.parked.empty());
}

TEST_F(RouterHostTest, AnswersComeInPartsOrNotAtAll) {
  PlayedRouter router = Bring();
  absl::StatusOr<RouterAnswer> got = absl::UnknownError("none");
  const auto keep = [&got](absl::StatusOr<RouterAnswer> answer) {
    got = std::move(answer);
  };
  host_->Query("links", "", keep);
  const uint64_t number = router.Hear().query().number();
  FromRouter part;
  part.mutable_answer()->set_number(number);
  part.mutable_answer()->add_column("a");
  part.mutable_answer()->add_row()->add_cell("1");
  router.Say(part);
  part.mutable_answer()->clear_column();
  part.mutable_answer()->set_last(true);
  router.Say(part);
  supervisor_.Turn();
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->columns, std::vector<std::string>{"a"});
  EXPECT_EQ(got->rows.size(), 2u);
  host_->Query("links", "", keep);
  Die();
  EXPECT_EQ(got.status().code(), absl::StatusCode::kUnavailable);
  host_->Query("links", "", keep);
  EXPECT_EQ(got.status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(RouterHostTest, S7_ARouterThatSaysWhatItMayNotBreaksThePeace) {
  PlayedRouter router = Bring();
  FromRouter message;
  message.mutable_need_state()->set_bytes(uint64_t{1} << 40);
  router.Say(message);
  supervisor_.Turn();
  EXPECT_EQ(supervisor_.TakeBreach(), "asked for 1099511627776 bytes of state");
  message.mutable_attached();
  router.Say(message);
  supervisor_.Turn();
  EXPECT_EQ(supervisor_.TakeBreach(), "said Attached, which it is");
  message.Clear();
  router.Say(message);
  supervisor_.Turn();
  EXPECT_EQ(supervisor_.TakeBreach(),
            "platform channel: a message that says nothing");
}

// Shows that the words of a router and of its clients reach the supervisor,
// wherever they are cut: what is no text would end the platform service there.
TEST_F(RouterHostTest, S7_WordsThatAreCutAreStillText) {
  instances_["nic0"].exists = true;
  PlayedRouter router = Bring();
  Open("vm-1");
  const std::string words = std::string(199, 'a') + "\u00e9\u001b[2J";
  FromRouter message;
  message.mutable_uplink_closed()->set_instance("nic0");
  message.mutable_uplink_closed()->set_reason(words);
  router.Say(message);
  supervisor_.Turn();
  EXPECT_GE(supervisor_.FindEvent("uplink_closed"), 0);
  packet_stream::ClientReport report;
  report.set_epoch(host_->sessions().begin()->second->epoch());
  report.set_breach(words);
  ASSERT_TRUE(clients_[0].Send(report).ok());
  supervisor_.Turn();
  EXPECT_FALSE(supervisor_.garbled);
  EXPECT_NE(supervisor_.TakeBreach(), "");
}

TEST_F(RouterHostTest, S7_AClientThatBreaksTheProtocolLosesItsSessionAlone) {
  PlayedRouter router = Bring();
  const uint64_t bad = Open("vm-1").id();
  const uint64_t good = Open("vm-2").id();
  FromRouter message;
  message.mutable_client_broken()->set_session_id(bad);
  message.mutable_client_broken()->set_reason("its tail jumps");
  router.Say(message);
  supervisor_.Turn();
  ASSERT_EQ(host_->sessions().size(), 1u);
  EXPECT_EQ(host_->sessions().begin()->first, good);
  packet_stream::Closed closed;
  std::vector<UniqueFd> fds;
  ASSERT_TRUE(clients_[0].Receive(&closed, &fds).ok());
  EXPECT_EQ(closed.reason(),
            "the client broke the session's protocol: its tail jumps");
}

TEST_F(RouterHostTest, ThereIsRoomForSoManyClients) {
  spec_.config.max_clients = 1;
  Bring();
  EXPECT_TRUE(host_->MayOpen("vm-1").ok());
  EXPECT_TRUE(absl::IsPermissionDenied(host_->MayOpen("probe")));
  Open("vm-1");
  EXPECT_TRUE(absl::IsResourceExhausted(host_->MayOpen("vm-2")));
}

}  // namespace
}  // namespace bulkhead::platform
