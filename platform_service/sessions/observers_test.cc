// Those who look on get what they need to read, nothing that they could write,
// and cost nobody anything when they go.
#include "platform_service/sessions/observers.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/shared_memory.h"
#include "packet_stream/geometry.h"
#include "packet_stream/session.pb.h"
#include "platform_service/testing/fake_supervisor.h"

namespace bulkhead::platform {
namespace {

using packet_stream::OpenReply;

class ObserversTest : public testing::Test {
 protected:
  ObserversTest()
      : loop_(*EventLoop::Create()),
        supervisor_(*loop_),
        link_(*SupervisorLink::Create(*loop_, supervisor_.TakeChannel(), {})),
        observers_(*loop_, [this](const std::string& instance, int pid) {
          left_.push_back(instance + " " + std::to_string(pid));
        }) {}

  std::unique_ptr<Session> MakeSession(const std::string& instance) {
    auto pair = SeqpacketChannel::CreatePair();
    client_ = std::move(pair->first);
    SessionIdentity identity;
    identity.id = 7;
    identity.label = "probe";
    identity.instance = instance;
    identity.geometry = {16, 16, 2048};
    auto session = Session::Create(*loop_, *link_, identity,
                                   std::move(pair->second), {}, nullptr);
    EXPECT_TRUE(session.ok()) << session.status();
    return *std::move(session);
  }
  // The observer's own end; `taken` says whether it was taken in.
  SeqpacketChannel Add(const std::string& instance, int pid, bool* taken,
                       const std::string& domain = "") {
    auto pair = SeqpacketChannel::CreatePair();
    *taken = observers_.Add({instance, domain}, pid, std::move(pair->second)) !=
             nullptr;
    return std::move(pair->first);
  }
  void Turn() {
    for (int i = 0; i < 10; ++i) loop_->RunOnce(0);
  }

  std::unique_ptr<EventLoop> loop_;
  FakeSupervisor supervisor_;
  std::unique_ptr<SupervisorLink> link_;
  std::vector<std::string> left_;
  Observers observers_;
  SeqpacketChannel client_;
};

// A session that opens is announced to those of its instance alone, with
// descriptors that cannot be mapped for writing.
TEST_F(ObserversTest, S2_ReadOnlyDescriptorsOfTheirInstance) {
  bool taken = false;
  SeqpacketChannel here = Add("nic0", 1, &taken);
  ASSERT_TRUE(taken);
  SeqpacketChannel elsewhere = Add("nic1", 2, &taken);
  ASSERT_TRUE(taken);
  const auto session = MakeSession("nic0");
  observers_.Announce(*session, {"nic0", {}});
  OpenReply reply;
  std::vector<UniqueFd> fds;
  ASSERT_TRUE(here.WaitReceive(&reply, &fds, 1000).ok());
  EXPECT_EQ(reply.observation().session_id(), 7u);
  EXPECT_EQ(reply.observation().label(), "probe");
  const packet_stream::SessionGeometry geometry = {16, 16, 2048};
  const size_t bytes[] = {packet_stream::kStatusPageBytes,
                          geometry.ClientControlBytes(),
                          geometry.ProviderControlBytes(),
                          geometry.TxDataBytes(), geometry.RxDataBytes()};
  ASSERT_EQ(fds.size(), std::size(bytes));
  for (size_t i = 0; i < fds.size(); ++i) {
    EXPECT_TRUE(
        Mapping::MapSealed(fds[i].get(), bytes[i], Access::kReadOnly).ok());
    EXPECT_FALSE(
        Mapping::MapSealed(fds[i].get(), bytes[i], Access::kReadWrite).ok());
  }
  EXPECT_FALSE(*elsewhere.Receive(&reply, &fds));
}

// At a router, its own name stands for all of its clients, ROUTER/LABEL for
// one, and a domain for those whose frames pass there, its uplinks among them.
TEST_F(ObserversTest, OfARouterAClientADomainOrAll) {
  bool taken = false;
  const auto client = MakeSession("router");
  const SessionPlace at_router{"router/probe", {"guests"}};
  const auto uplink = MakeSession("nic0");
  const SessionPlace at_nic{"nic0", {"wan", "guests"}};
  struct Case {
    const char* name;
    const char* domain;
    std::vector<std::string> seen;
  };
  for (const Case& each : std::vector<Case>{
           {"router", "", {"router/probe"}},
           {"router/probe", "", {"router/probe"}},
           {"router/other", "", {}},
           {"router", "guests", {"router/probe", "nic0"}},
           {"router", "wan", {"nic0"}},
           {"nic0", "", {"nic0"}},
       }) {
    SeqpacketChannel channel = Add(each.name, 1, &taken, each.domain);
    ASSERT_TRUE(taken);
    observers_.Announce(*client, at_router);
    observers_.Announce(*uplink, at_nic);
    std::vector<std::string> seen;
    OpenReply reply;
    std::vector<UniqueFd> fds;
    while (*channel.Receive(&reply, &fds, 8)) {
      seen.push_back(reply.observation().place());
    }
    EXPECT_EQ(seen, each.seen) << each.name << " " << each.domain;
    channel = SeqpacketChannel();
    Turn();
  }
}

// One more than there may be is told why; one that goes makes room.
TEST_F(ObserversTest, ThereIsALimit) {
  bool taken = false;
  std::vector<SeqpacketChannel> channels;
  for (size_t i = 0; i < Observers::kMostPerInstance; ++i) {
    channels.push_back(Add("nic0", static_cast<int>(i), &taken));
    EXPECT_TRUE(taken);
  }
  SeqpacketChannel refused = Add("nic0", 9, &taken);
  EXPECT_FALSE(taken);
  OpenReply reply;
  std::vector<UniqueFd> fds;
  ASSERT_TRUE(refused.WaitReceive(&reply, &fds, 1000).ok());
  EXPECT_EQ(reply.refusal().code(), OpenReply::Refusal::QUOTA);
  channels.erase(channels.begin());
  Turn();
  EXPECT_EQ(left_, std::vector<std::string>{"nic0 0"});
  channels.push_back(Add("nic0", 9, &taken));
  EXPECT_TRUE(taken);
}

// Whoever says anything has nothing to say, and is an observer no more.
TEST_F(ObserversTest, S7_OneThatTalksIsGone) {
  bool taken = false;
  SeqpacketChannel channel = Add("nic0", 1, &taken);
  ASSERT_TRUE(channel.Send(OpenReply()).ok());
  Turn();
  EXPECT_EQ(observers_.size(), 0u);
  EXPECT_EQ(left_.size(), 1u);
}

}  // namespace
}  // namespace bulkhead::platform
