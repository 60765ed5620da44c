// Deaths, restarts, back-off, parking and warm spares, with real processes.
#include <csignal>

#include "supervisor/testing/fixture.h"

namespace bulkhead::supervisor {
namespace {

using RestartTest = SupervisorFixture;

// Shows that one of three killed processes comes back alone: the others keep
// their pids and generations.
TEST_F(RestartTest, S5_OneIsRestartedAlone) {
  for (const char* name : {"nic0", "nic1", "nic2"}) Run(Spec(name));
  const pid_t first = Pid("nic0");
  const pid_t third = Pid("nic2");
  const pid_t victim = Pid("nic1");
  ASSERT_EQ(::kill(victim, SIGKILL), 0);
  ASSERT_TRUE(UntilDied("nic1"));
  const FromSupervisor::Died died = died_["nic1"][0];
  EXPECT_EQ(died.generation(), 1u);
  EXPECT_EQ(died.cause(), "killed by signal 9 (Killed)");
  EXPECT_EQ(died.backoff_ms(), 0u);
  EXPECT_FALSE(died.parked());
  EXPECT_GT(died.noticed_ns(), 0u);

  Begin("nic1");
  ASSERT_TRUE(Until([&] {
    return State("nic1").phase() == ProcessState::RUNNING &&
           State("nic1").generation() == 2;
  }));
  EXPECT_NE(Pid("nic1"), victim);
  EXPECT_EQ(Pid("nic0"), first);
  EXPECT_EQ(Pid("nic2"), third);
  EXPECT_EQ(State("nic0").generation(), 1u);
  EXPECT_EQ(State("nic1").restarts(), 1u);
  EXPECT_TRUE(died_["nic0"].empty());
  EXPECT_TRUE(died_["nic2"].empty());
}

}  // namespace
}  // namespace bulkhead::supervisor
