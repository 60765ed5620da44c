// Deaths of and around a router under load: its clients' sessions live on, and
// nobody else's notice.
#include <gtest/gtest.h>
#include <signal.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/bench/echo_client.h"
#include "tests/bench/system_under_test.h"
#include "tests/recovery/bystanders.h"

namespace bulkhead::recovery {
namespace {

using bench::EchoClient;
using bench::EchoCounts;
using bench::MakeScenario;
using bench::SystemUnderTest;
namespace v1 = bench::v1;

#define ASSERT_OK(expression)                       \
  do {                                              \
    const absl::Status status_ = (expression);      \
    ASSERT_TRUE(status_.ok()) << status_.message(); \
  } while (false)

constexpr char kRouter[] =
    "router:\n"
    "  standby: true\n"
    "  restart: {stable_after: 1ms, park_after: 100}\n"
    "  domains: [{name: lab, interface: 10.0.0.1/24}]\n"
    "  uplinks: [{instances: [up0], domain: lab}]\n"
    "  policies: [{label: bench, domain: lab}]\n";

// A client in one network with an uplink whose NIC echoes, and two clients of
// NICs of their own.
class RouterRecoveryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto system = SystemUnderTest::Start(
        {.scenario = MakeScenario(
             {{.port = "uport",
               .instance = "up{index}",
               .standby = true,
               // Frames come back to the client's address, not the NIC's.
               .rule = "    restart: {stable_after: 1ms, park_after: 100}\n"
                       "    config: {promiscuous: true}\n"},
              {.port = "oport", .instance = "other{index}", .nics = 2}},
             kRouter),
         .bin_dir = ""});
    ASSERT_TRUE(system.ok()) << system.status();
    system_ = *std::move(system);
    ASSERT_OK(system_->WaitForLinks(3, 20000));
    ASSERT_OK(WaitForUplink());
    EchoClient::Options options;
    options.socket = system_->session_socket();
    // What is on its way beyond the router when something dies there is lost
    // without a recovery of this session: sending goes on all the same.
    options.window = 1 << 20;
    auto client = bench::StartEcho({"router"}, options);
    ASSERT_TRUE(client.ok()) << client.status();
    client_ = *std::move(client);
    ASSERT_NO_FATAL_FAILURE(AwaitFrames());
    others_ = std::make_unique<Bystanders>(
        *system_, std::vector<std::string>{"other0", "other1"});
  }

  absl::Status WaitForUplink() {
    return system_->WaitForStatus(
        [](const v1::Status& status) {
          return status.router().attached() &&
                 status.router().uplink_size() == 1 &&
                 status.router().uplink(0).open();
        },
        20000);
  }

  EchoClient::Recovery& recovery() { return client_->client(0).recovery(); }

  // Until frames go to the uplink's NIC and come back.
  void AwaitFrames() {
    const uint64_t wanted = recovery().received + 20;
    ASSERT_TRUE(WaitUntil([&] { return recovery().received >= wanted; }, 20000))
        << system_->EventText();
  }

  // The client has had one session all the time, and every frame that it sent
  // is accounted for (S8).
  void ExpectOneSession(uint32_t recoveries) {
    client_->Stop();
    const packet_stream::Session& session = client_->client(0).session();
    EXPECT_TRUE(session.health().ok()) << session.health();
    EXPECT_EQ(client_->client(0).counts().recoveries, recoveries);
    EXPECT_EQ(client_->client(0).counts().corrupt, 0u);
    const packet_stream::SessionCounters& c = session.counters();
    EXPECT_EQ(c.tx_submitted, c.tx_done + c.tx_dropped_invalid +
                                  c.tx_dropped_no_link + c.tx_dropped_device +
                                  c.tx_indeterminate + session.tx_in_flight());
    EXPECT_EQ(c.tx_dropped_invalid, 0u);
  }

  std::unique_ptr<SystemUnderTest> system_;
  std::unique_ptr<bench::EchoThread> client_;
  std::unique_ptr<Bystanders> others_;
};

// Shows that a router that is killed under load disturbs no direct session, and
// that its client goes on in the session that it has: kill -9, five times.
TEST_F(RouterRecoveryTest, S5_S6_KilledRouterDisturbsNobodyElse) {
  const auto up = system_->PidOf("up0");
  ASSERT_TRUE(up.ok());
  for (uint32_t kill = 1; kill <= 5; ++kill) {
    const auto pid = system_->Kill("router", SIGKILL);
    ASSERT_TRUE(pid.ok()) << pid.status();
    ASSERT_TRUE(WaitUntil([&] { return recovery().completed >= kill; }, 20000))
        << system_->EventText();
    ASSERT_NO_FATAL_FAILURE(AwaitFrames());
  }
  ExpectOneSession(5);
  EXPECT_EQ(system_->PidOf("up0").value_or(0), *up);
  others_->ExpectUndisturbed();
}

// Shows that a router that hangs is found and ended: SIGSTOP under load.
TEST_F(RouterRecoveryTest, StoppedRouterIsFoundHungAndReplaced) {
  ASSERT_TRUE(system_->Kill("router", SIGSTOP).ok());
  ASSERT_TRUE(WaitUntil([&] { return recovery().completed >= 1; }, 20000))
      << system_->EventText();
  const auto died = system_->WaitForEvent("router", "died", "hung", 5000);
  EXPECT_TRUE(died.ok()) << died.status();
  ASSERT_NO_FATAL_FAILURE(AwaitFrames());
  ExpectOneSession(1);
  others_->ExpectUndisturbed();
}

// Shows that the client of a router does not notice the deaths of its uplink's
// drivers but by their frames: kill -9, three times.
TEST_F(RouterRecoveryTest, S6_RoutersClientOutlivesDrivers) {
  for (int kill = 1; kill <= 3; ++kill) {
    ASSERT_TRUE(system_->Kill("up0", SIGKILL).ok());
    ASSERT_NO_FATAL_FAILURE(AwaitFrames());
  }
  ExpectOneSession(0);
  others_->ExpectUndisturbed();
}

// Shows that the platform service can die under load and comes back to the
// router, its clients and its uplinks: then a router is killed, too.
TEST_F(RouterRecoveryTest, S5_S6_PlatformServiceTakesTheRouterOver) {
  const auto before = system_->GetStatus();
  ASSERT_TRUE(before.ok());
  const auto router = system_->PidOf("router");
  ASSERT_TRUE(system_->Kill("platform_service", SIGKILL).ok());
  ASSERT_OK(system_->WaitForStatus(
      [&](const v1::Status& status) {
        return status.platform_generation() ==
               before->platform_generation() + 1;
      },
      10000));
  ASSERT_OK(WaitForUplink());
  ASSERT_NO_FATAL_FAILURE(AwaitFrames());
  EXPECT_EQ(recovery().completed, 0u);
  EXPECT_EQ(system_->PidOf("router").value_or(0), router.value_or(-1));
  ASSERT_TRUE(system_->Kill("router", SIGKILL).ok());
  ASSERT_TRUE(WaitUntil([&] { return recovery().completed >= 1; }, 20000))
      << system_->EventText();
  ASSERT_NO_FATAL_FAILURE(AwaitFrames());
  ExpectOneSession(1);
  others_->ExpectUndisturbed();
}

// Shows that `down` ends a router like everything else, and leaves nothing.
TEST_F(RouterRecoveryTest, S10_DownEndsTheRouter) {
  client_->Stop();
  others_->traffic().Stop();
  const std::vector<int> processes = system_->Processes();
  ASSERT_OK(system_->Down());
  for (const int pid : processes) EXPECT_FALSE(bench::ProcessExists(pid));
}

}  // namespace
}  // namespace bulkhead::recovery
