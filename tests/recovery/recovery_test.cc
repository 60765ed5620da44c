// Deaths under load, of each kind of process: what it owned pauses and comes
// back, everything else goes on.
#include <gtest/gtest.h>
#include <signal.h>

#include <set>

#include "absl/strings/match.h"
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

class RecoveryTest : public ::testing::Test {
 protected:
  // victim0 with or without a warm spare, and two others.
  void Start(bool standby) {
    auto system = SystemUnderTest::Start(
        {.scenario = MakeScenario(
             {{.port = "vport",
               .instance = "victim{index}",
               .standby = standby,
               .rule = "    restart: {stable_after: 1ms, park_after: 100}\n"},
              {.port = "oport", .instance = "other{index}", .nics = 2}}),
         .bin_dir = ""});
    ASSERT_TRUE(system.ok()) << system.status();
    system_ = *std::move(system);
    ASSERT_OK(system_->WaitForLinks(3, 20000));
    EchoClient::Options options;
    options.socket = system_->session_socket();
    auto victim = bench::StartEcho({"victim0"}, options);
    ASSERT_TRUE(victim.ok()) << victim.status();
    victim_ = *std::move(victim);
    others_ = std::make_unique<Bystanders>(
        *system_, std::vector<std::string>{"other0", "other1"});
  }

  EchoClient::Recovery& recovery() { return victim_->client(0).recovery(); }

  void WaitForRecovery(uint32_t count) {
    ASSERT_TRUE(WaitUntil([&] { return recovery().completed >= count; }))
        << system_->EventText();
  }

  void WaitForSpare() {
    ASSERT_OK(system_->WaitForStatus(
        [](const v1::Status& status) {
          for (const v1::Instance& instance : status.instance()) {
            if (instance.name() == "victim0") return instance.spare_ready();
          }
          return false;
        },
        5000));
  }

  // What its counters must say at any time (S8).
  void ExpectEveryTxFrameAccounted() {
    const packet_stream::Session& session = victim_->client(0).session();
    const packet_stream::SessionCounters& c = session.counters();
    EXPECT_EQ(c.tx_submitted, c.tx_done + c.tx_dropped_invalid +
                                  c.tx_dropped_no_link + c.tx_dropped_device +
                                  c.tx_indeterminate + session.tx_in_flight());
  }

  std::unique_ptr<SystemUnderTest> system_;
  std::unique_ptr<bench::EchoThread> victim_;
  std::unique_ptr<Bystanders> others_;
};

// Shows that a session lives through ten deaths of its driver, warm spare or
// not, with every frame accounted for and no frame lost next door: kill -9
// under load, ten times.
TEST_F(RecoveryTest, S6_S8_SessionOutlivesTenDrivers) {
  for (const bool standby : {true, false}) {
    ASSERT_NO_FATAL_FAILURE(Start(standby));
    for (uint32_t kill = 1; kill <= 10; ++kill) {
      if (standby) {
        ASSERT_NO_FATAL_FAILURE(WaitForSpare());
      }
      const auto pid = system_->Kill("victim0", SIGKILL);
      ASSERT_TRUE(pid.ok()) << pid.status();
      ASSERT_NO_FATAL_FAILURE(WaitForRecovery(kill));
    }
    victim_->Stop();
    const EchoCounts& counts = victim_->client(0).counts();
    EXPECT_EQ(counts.recoveries, 10u);
    EXPECT_EQ(counts.lost, 0u) << "lost with no death to excuse it";
    EXPECT_EQ(counts.corrupt, 0u);
    EXPECT_TRUE(victim_->client(0).session().health().ok());
    ExpectEveryTxFrameAccounted();
    others_->ExpectUndisturbed();
    const auto instance = system_->GetInstance("victim0");
    ASSERT_TRUE(instance.ok());
    EXPECT_EQ(instance->restarts(), 10u);
    EXPECT_EQ(instance->generation(), 11u);
  }
}

// Shows that bus mastering is off and the NIC reset before the next generation
// is granted anything: the order of the recorded chain of one death.
TEST_F(RecoveryTest, S4_DmaIsOffAndTheNicResetBeforeTheNextGrant) {
  ASSERT_NO_FATAL_FAILURE(Start(false));
  ASSERT_TRUE(system_->Kill("victim0", SIGKILL).ok());
  ASSERT_NO_FATAL_FAILURE(WaitForRecovery(1));
  const auto died = system_->WaitForEvent("victim0", "died", "", 5000);
  ASSERT_TRUE(died.ok()) << died.status();
  EXPECT_TRUE(absl::StrContains(died->text(), "signal 9")) << died->text();
  uint64_t last_ns = died->time_ns();
  // The platform service tells in order, though a little later: what it says
  // first may be of the time before the death.
  uint64_t last_sequence = died->sequence();
  for (const char* step :
       {"dma_off", "reset", "epoch", "granted", "first_frame"}) {
    const auto event =
        system_->WaitForEvent("victim0", step, "", 5000, last_sequence);
    ASSERT_TRUE(event.ok()) << event.status();
    EXPECT_GE(event->time_ns(), last_ns) << step;
    last_ns = event->time_ns();
    last_sequence = event->sequence();
  }
  others_->ExpectUndisturbed();
}

// Shows that a hang is found and ended: SIGSTOP on the driver under load, whose
// heartbeat then stays away.
TEST_F(RecoveryTest, StoppedDriverIsFoundHungAndReplaced) {
  ASSERT_NO_FATAL_FAILURE(Start(true));
  ASSERT_TRUE(system_->Kill("victim0", SIGSTOP).ok());
  ASSERT_NO_FATAL_FAILURE(WaitForRecovery(1));
  const auto hung = system_->WaitForEvent("victim0", "hung", "", 5000);
  EXPECT_TRUE(hung.ok()) << hung.status();
  const auto died = system_->WaitForEvent("victim0", "died", "hung", 5000);
  EXPECT_TRUE(died.ok()) << died.status();
  others_->ExpectUndisturbed();
}

// Shows that the platform service can die under load without a lost frame and
// comes back to everything it had: kill -9, traffic on three links; then its
// other duties are asked for one by one.
TEST_F(RecoveryTest, S5_KilledPlatformServiceDisturbsNoTraffic) {
  ASSERT_NO_FATAL_FAILURE(Start(true));
  const auto before = system_->GetStatus();
  ASSERT_TRUE(before.ok());
  ASSERT_TRUE(system_->Kill("platform_service", SIGKILL).ok());
  ASSERT_OK(system_->WaitForStatus(
      [&](const v1::Status& status) {
        return status.platform_generation() ==
               before->platform_generation() + 1;
      },
      10000));
  ASSERT_OK(system_->WaitForLinks(3, 5000));
  EXPECT_EQ(recovery().completed, 0u);
  // It still owns the device: it can recover a driver.
  ASSERT_TRUE(system_->Kill("victim0", SIGKILL).ok());
  ASSERT_NO_FATAL_FAILURE(WaitForRecovery(1));
  others_->ExpectUndisturbed();
  const auto after = system_->GetStatus();
  ASSERT_TRUE(after.ok());
  EXPECT_EQ(after->session_size(), 3);
  // And sessions: closing gives the NIC back, opening takes it.
  victim_.reset();
  EchoClient::Options options;
  options.socket = system_->session_socket();
  absl::Status last;
  ASSERT_TRUE(WaitUntil([&] {
    auto again = bench::StartEcho({"victim0"}, options);
    last = again.status();
    if (again.ok()) victim_ = *std::move(again);
    return again.ok();
  })) << last;
  ASSERT_TRUE(
      WaitUntil([&] { return victim_->client(0).recovery().received > 0; }));
  victim_->Stop();
  EXPECT_GT(victim_->client(0).counts().received, 0u);
  EXPECT_EQ(victim_->client(0).counts().lost, 0u);
}

// Shows that the platform service may die in the middle of a recovery: driver
// and platform service are killed together, five times (each time the platform
// service's own back-off doubles).
TEST_F(RecoveryTest, S5_PlatformServiceAndDriverDieTogether) {
  ASSERT_NO_FATAL_FAILURE(Start(false));
  for (int kill = 1; kill <= 5; ++kill) {
    const uint32_t before = recovery().completed;
    const auto platform = system_->PidOf("platform_service");
    ASSERT_TRUE(platform.ok()) << platform.status();
    ASSERT_TRUE(system_->Kill("victim0", SIGKILL).ok());
    // Each time at another step of the chain.
    ::usleep(kill * 300);
    ::kill(*platform, SIGKILL);
    ASSERT_NO_FATAL_FAILURE(WaitForRecovery(before + 1));
    ASSERT_OK(system_->WaitForLinks(3, 10000));
  }
  victim_->Stop();
  EXPECT_EQ(victim_->client(0).counts().lost, 0u);
  ExpectEveryTxFrameAccounted();
  others_->ExpectUndisturbed();
}

// Shows that the death of one NIC's model stops that NIC alone, and that the
// link comes back with a new model: kill -9 of the victim's model under load.
TEST_F(RecoveryTest, S5_KilledModelDisturbsOnlyItsOwnLink) {
  ASSERT_NO_FATAL_FAILURE(Start(false));
  const auto old = system_->Kill("vport0", SIGKILL);
  ASSERT_TRUE(old.ok()) << old.status();
  ASSERT_OK(system_->WaitForStatus(
      [&](const v1::Status& status) {
        bool replaced = false;
        for (const v1::Process& process : status.process()) {
          replaced |= process.name() == "vport0" && process.pid() > 0 &&
                      process.pid() != *old && process.phase() == "running";
        }
        return replaced;
      },
      10000));
  const uint64_t received = recovery().received;
  EXPECT_TRUE(
      WaitUntil([&] { return recovery().received > received + 10; }, 10000))
      << system_->EventText();
  others_->ExpectUndisturbed();
}

// Shows that nothing is left when the root of trust dies: kill -9 of the
// supervisor under load; every process of the system is gone, and clients learn
// of it.
TEST_F(RecoveryTest, S10_KilledSupervisorLeavesNoProcess) {
  ASSERT_NO_FATAL_FAILURE(Start(true));
  const std::vector<int> processes = system_->Processes();
  ASSERT_GT(processes.size(), 7u);
  ASSERT_EQ(::kill(system_->supervisor_pid(), SIGKILL), 0);
  for (const int pid : processes) {
    // The supervisor itself is a zombie of ours until it is reaped.
    EXPECT_TRUE(WaitUntil([pid] { return !bench::ProcessExists(pid); }))
        << "process " << pid << " is left";
  }
  EXPECT_TRUE(
      WaitUntil([&] { return !victim_->client(0).session().health().ok(); }));
}

// Shows that a system comes up again in a run directory that a power cut left:
// kill -9 of everything at once, then the same `up`.
TEST_F(RecoveryTest, S10_ComesUpAgainAfterEverythingWasKilled) {
  ASSERT_NO_FATAL_FAILURE(Start(true));
  system_->KillEverything();
  victim_.reset();
  others_.reset();
  ASSERT_OK(system_->StartAgain());
  ASSERT_OK(system_->WaitForLinks(3, 20000));
  Bystanders again(*system_, {"victim0", "other0", "other1"});
  again.AwaitFrames(100);
  again.ExpectUndisturbed();
  ASSERT_OK(system_->Down());
}

// Shows that `down` ends every process and takes its sockets away.
TEST_F(RecoveryTest, S10_DownLeavesNothing) {
  ASSERT_NO_FATAL_FAILURE(Start(true));
  const std::vector<int> processes = system_->Processes();
  others_->ExpectUndisturbed();
  ASSERT_OK(system_->Down());
  for (const int pid : processes) EXPECT_FALSE(bench::ProcessExists(pid));
}

}  // namespace
}  // namespace bulkhead::recovery
