// Hangs of real processes: stopped, spinning, and answering but idle.
#include <csignal>

#include "absl/strings/match.h"
#include "supervisor/testing/fixture.h"

namespace bulkhead::supervisor {
namespace {

class HangTest : public SupervisorFixture {
 protected:
  static ProcessSpec Quick(const std::string& name) {
    ProcessSpec spec = Spec(name);
    spec.mutable_heartbeat()->set_interval_ms(20);
    spec.mutable_heartbeat()->set_misses(3);
    return spec;
  }
};

// Shows that a stopped process is killed as hung and the next one runs.
TEST_F(HangTest, StoppedProcessIsHung) {
  Run(Quick("nic0"));
  Run(Spec("nic1"));
  const pid_t victim = Pid("nic0");
  ::kill(victim, SIGSTOP);
  ASSERT_TRUE(UntilDied("nic0"));
  EXPECT_TRUE(
      absl::StartsWith(died_["nic0"][0].cause(), "hung: no heartbeat for "))
      << died_["nic0"][0].cause();
  EXPECT_EQ(::kill(victim, 0), -1);
  EXPECT_TRUE(HasEvent("nic0", "hung"));
  EXPECT_TRUE(HasEvent("nic0", "killed"));
  Begin("nic0");
  ASSERT_TRUE(UntilPhase("nic0", ProcessState::RUNNING));
  EXPECT_TRUE(died_["nic1"].empty());
}

// Shows the same for a process that burns its processor time.
TEST_F(HangTest, SpinningProcessIsHung) {
  Run(Quick("nic0"), "spin");
  ASSERT_TRUE(UntilDied("nic0"));
  EXPECT_TRUE(absl::StartsWith(died_["nic0"][0].cause(), "hung: no heartbeat"));
}

// Shows that answering pings is not enough: work that waits must be done.
TEST_F(HangTest, ProgressIsAskedFor) {
  Run(Quick("nic0"), "no_progress");
  ASSERT_TRUE(UntilDied("nic0"));
  EXPECT_TRUE(
      absl::StartsWith(died_["nic0"][0].cause(), "hung: work waits, none done"))
      << died_["nic0"][0].cause();
}

// Shows that a healthy process passes many heartbeats.
TEST_F(HangTest, HealthyProcessIsLeftAlone) {
  ProcessSpec spec = Quick("nic0");
  spec.mutable_heartbeat()->set_interval_ms(5);
  spec.mutable_heartbeat()->set_misses(100);
  Run(spec);
  const uint64_t since_ns = State("nic0").phase_since_ns();
  int turns = 0;
  loop_->After(std::chrono::milliseconds(200), [&] { turns = 1; });
  ASSERT_TRUE(Until([&] { return turns == 1; }));
  EXPECT_TRUE(died_["nic0"].empty());
  EXPECT_EQ(State("nic0").phase_since_ns(), since_ns);
}

}  // namespace
}  // namespace bulkhead::supervisor
