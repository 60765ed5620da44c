// Deaths, restarts, back-off, parking and warm spares, with real processes.
#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "absl/strings/match.h"
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

// Shows the chain of events of one recovery, in order.
TEST_F(RestartTest, EventsTellTheRecovery) {
  Run(Spec("nic0"));
  ::kill(Pid("nic0"), SIGKILL);
  ASSERT_TRUE(UntilDied("nic0"));
  // The successor does not wait for the grant to be spawned.
  ASSERT_TRUE(Until([&] { return State("nic0").spare_ready(); }));
  Begin("nic0");
  ASSERT_TRUE(Until([&] {
    return State("nic0").generation() == 2 &&
           State("nic0").phase() == ProcessState::RUNNING;
  }));
  std::vector<std::string> kinds;
  uint64_t last_ns = 0;
  for (const Event& event : events_) {
    kinds.push_back(event.kind());
    EXPECT_GE(event.time_ns(), last_ns);
    EXPECT_EQ(event.sequence(), kinds.size());
    last_ns = event.time_ns();
  }
  const std::vector<std::string> expected = {
      "spawned", "ready",       "handed_over", "started", "died",
      "spawned", "spare_ready", "handed_over", "started"};
  EXPECT_EQ(kinds, expected);
}

// Shows the back-off from death to death: at once, then the first step,
// doubled up to the cap, and parked with a reason at the configured number.
TEST_F(RestartTest, BacksOffAndParks) {
  ProcessSpec spec = Spec("nic0", {"exit3"});
  spec.mutable_restart()->set_backoff_first_ms(2);
  spec.mutable_restart()->set_backoff_max_ms(6);
  spec.mutable_restart()->set_park_after(5);
  Define(spec);
  for (size_t i = 1; i <= 5; ++i) {
    Begin("nic0");
    ASSERT_TRUE(UntilDied("nic0", i));
  }
  std::vector<uint32_t> backoffs;
  for (const auto& died : died_["nic0"]) {
    backoffs.push_back(died.backoff_ms());
    EXPECT_EQ(died.cause(), "exited with status 3");
  }
  EXPECT_EQ(backoffs, (std::vector<uint32_t>{0, 2, 4, 6, 0}));
  EXPECT_TRUE(died_["nic0"][4].parked());
  EXPECT_EQ(died_["nic0"][4].reason(),
            "failed 5 times in a row; last: exited with status 3");
  ASSERT_TRUE(UntilPhase("nic0", ProcessState::PARKED));
  EXPECT_EQ(State("nic0").failures_in_a_row(), 5u);

  // A Begin for it is refused, with what mends it.
  Begin("nic0");
  ASSERT_TRUE(Until([&] { return !refused_.empty(); }));
  EXPECT_TRUE(absl::StrContains(refused_[0].reason(), "restart it first"));
}

// Shows that Restart brings a parked process back through Died and Begin, with
// its failures forgotten.
TEST_F(RestartTest, RestartUnparks) {
  ProcessSpec spec = Spec("nic0");
  spec.mutable_restart()->set_park_after(1);
  Run(spec);
  ::kill(Pid("nic0"), SIGABRT);
  ASSERT_TRUE(UntilPhase("nic0", ProcessState::PARKED));
  Restart("nic0");
  ASSERT_TRUE(UntilDied("nic0", 2));
  EXPECT_FALSE(died_["nic0"][1].parked());
  Begin("nic0");
  ASSERT_TRUE(UntilPhase("nic0", ProcessState::RUNNING));
  EXPECT_EQ(State("nic0").failures_in_a_row(), 0u);
  EXPECT_EQ(State("nic0").generation(), 2u);
}

// Shows that an orderly Restart is no failure.
TEST_F(RestartTest, RestartIsOrderly) {
  Run(Spec("nic0"));
  Restart("nic0");
  ASSERT_TRUE(UntilDied("nic0"));
  EXPECT_EQ(died_["nic0"][0].cause(), "stopped on request");
  EXPECT_EQ(died_["nic0"][0].backoff_ms(), 0u);
  Begin("nic0");
  ASSERT_TRUE(UntilPhase("nic0", ProcessState::RUNNING));
  EXPECT_EQ(State("nic0").failures_in_a_row(), 0u);
}

// Shows that the next generation is the process that was waiting, and that a
// new one waits afterwards.
TEST_F(RestartTest, SpareBecomesTheNextGeneration) {
  ProcessSpec spec = Spec("nic0");
  spec.set_warm_spare(true);
  Run(spec);
  ASSERT_TRUE(Until([&] { return State("nic0").spare_ready(); }));
  pid_t spare = 0;
  for (const Event& event : events_) {
    if (event.kind() == "spare_ready") {
      spare = std::stoi(event.text().substr(4));
    }
  }
  const pid_t victim = Pid("nic0");
  ASSERT_NE(spare, victim);
  ::kill(victim, SIGKILL);
  ASSERT_TRUE(UntilDied("nic0"));
  Begin("nic0", "again");
  ASSERT_TRUE(UntilPhase("nic0", ProcessState::RUNNING));
  EXPECT_EQ(Pid("nic0"), spare);
  ASSERT_TRUE(UntilLogHas("nic0", "generation 2 payload again"));
  ASSERT_TRUE(Until([&] { return State("nic0").spare_ready(); }));
}

// Shows that killing spares again and again neither parks nor touches the
// instance.
TEST_F(RestartTest, S5_DeathOfSparesIsNoFailure) {
  ProcessSpec spec = Spec("nic0");
  spec.set_warm_spare(true);
  spec.mutable_restart()->set_park_after(2);
  spec.mutable_restart()->set_backoff_first_ms(1);
  spec.mutable_restart()->set_backoff_max_ms(1);
  Run(spec);
  const pid_t pid = Pid("nic0");
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(Until([&] { return State("nic0").spare_ready(); }));
    pid_t spare = 0;
    for (const Event& event : events_) {
      if (event.kind() == "spare_ready") {
        spare = std::stoi(event.text().substr(4));
      }
    }
    ASSERT_GT(spare, 0);
    ::kill(spare, SIGKILL);
    ASSERT_TRUE(Until([&] { return !State("nic0").spare_ready(); }));
  }
  EXPECT_EQ(Pid("nic0"), pid);
  EXPECT_EQ(State("nic0").failures_in_a_row(), 0u);
  EXPECT_TRUE(died_["nic0"].empty());
}

// Shows that whatever Begin brought arrives in the child, and is closed here.
TEST_F(RestartTest, GrantIsHandedOnAndNotKept) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  Define(Spec("nic0"));
  Begin("nic0", "write_fd", {ends[1]});
  ASSERT_TRUE(UntilPhase("nic0", ProcessState::RUNNING));
  ::close(ends[1]);
  char text[8] = {};
  EXPECT_EQ(::read(ends[0], text, sizeof(text)), 4);
  EXPECT_STREQ(text, "here");
  ::kill(Pid("nic0"), SIGKILL);
  ASSERT_TRUE(UntilDied("nic0"));
  // End of file: no writer is left anywhere, so none here.
  EXPECT_EQ(::read(ends[0], text, sizeof(text)), 0);
  ::close(ends[0]);
}

// Shows that the end of a process that nobody asked for is a death, whatever
// its exit status says, with the words it said last.
TEST_F(RestartTest, CausesAreNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {"exit0", "exited with status 0 although nobody asked"},
      {"exit3", "exited with status 3"},
      {"abort", "killed by signal 6 (Aborted)"},
      {"fail", "exited with status 1: the test asked for it"},
      {"close_channel", "breach: it closed its parent channel"},
      {"flood", "breach: it floods its parent channel"},
      {"die_at_once", "exited with status 7"},
  };
  for (const auto& [mode, cause] : cases) {
    Define(Spec(mode, {mode}));
    Begin(mode);
    ASSERT_TRUE(UntilDied(mode)) << mode;
    EXPECT_EQ(died_[mode][0].cause(), cause);
  }
}

// Shows that a start that does not come to its end is cut off.
TEST_F(RestartTest, StartHasADeadline) {
  struct Case {
    const char* mode;
    uint32_t timeout_ms;  // Of the second: enough to become ready.
    const char* cause;
  };
  const Case cases[] = {
      {"never_ready", 50, "hung: not ready within 50 ms"},
      {"never_started", 2000, "hung: not started within 2000 ms"},
  };
  for (const auto& [mode, timeout_ms, cause] : cases) {
    ProcessSpec spec = Spec(mode, {mode});
    spec.set_start_timeout_ms(timeout_ms);
    Define(spec);
    Begin(mode);
    ASSERT_TRUE(UntilDied(mode)) << mode;
    EXPECT_EQ(died_[mode][0].cause(), cause);
  }
}

// Shows that Remove answers after the process is gone, also for one that
// ignores Stop, and that the name is free again.
TEST_F(RestartTest, RemoveEndsEvenTheUnwilling) {
  Run(Spec("nic0"), "ignore_stop");
  Run(Spec("nic1"));
  const pid_t unwilling = Pid("nic0");
  const pid_t willing = Pid("nic1");
  Remove("nic0");
  Remove("nic1");
  ASSERT_TRUE(Until([&] { return removed_.size() == 2; }));
  EXPECT_EQ(::kill(unwilling, 0), -1);
  EXPECT_EQ(::kill(willing, 0), -1);
  EXPECT_TRUE(died_["nic0"].empty());
  Run(Spec("nic0"));
}

// Shows that a process without payload (the router) starts by itself, and again
// after a death.
TEST_F(RestartTest, WithoutPayloadNoBeginIsNeeded) {
  ProcessSpec spec = Spec("router");
  spec.set_needs_payload(false);
  Define(spec);
  ASSERT_TRUE(UntilPhase("router", ProcessState::RUNNING));
  ::kill(Pid("router"), SIGKILL);
  ASSERT_TRUE(Until([&] {
    return State("router").generation() == 2 &&
           State("router").phase() == ProcessState::RUNNING;
  }));
  EXPECT_EQ(died_["router"].size(), 1u);
}

// Shows that an accusation kills the accused generation and no later one.
TEST_F(RestartTest, BreachKillsThatGeneration) {
  Run(Spec("nic0"));
  ToSupervisor message;
  message.mutable_breach()->set_name("nic0");
  message.mutable_breach()->set_generation(7);
  message.mutable_breach()->set_reason("not it");
  Send(message);
  message.mutable_breach()->set_generation(1);
  message.mutable_breach()->set_reason("index jumped");
  Send(message);
  ASSERT_TRUE(UntilDied("nic0"));
  EXPECT_EQ(died_["nic0"][0].cause(), "breach: index jumped");
  EXPECT_TRUE(HasEvent("nic0", "breach"));
  EXPECT_TRUE(HasEvent("nic0", "killed"));
}

// Shows that each wrong definition is refused with the cause and the remedy.
TEST_F(RestartTest, DefineRefusesWhatCannotRun) {
  const std::string script = directory_ + "/script";
  const std::string plain = directory_ + "/plain";
  for (const std::string& path : {script, plain}) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT, 0600);
    ASSERT_EQ(::write(fd, "#!/bin/sh\n", 10), 10);
    ::close(fd);
  }
  std::filesystem::permissions(script, std::filesystem::perms::owner_all);
  const std::pair<std::string, std::string> cases[] = {
      {"/no/such/program", "No such file or directory"},
      {"relative/program", "not absolute"},
      {directory_, "not a regular file"},
      {plain, "not executable"},
      {script, "not an ELF program"},
  };
  for (const auto& [program, text] : cases) {
    refused_.clear();
    ProcessSpec spec = Spec("nic0");
    spec.set_program(program);
    Define(spec);
    ASSERT_TRUE(Until([&] { return !refused_.empty(); })) << program;
    EXPECT_EQ(refused_[0].name(), "nic0");
    EXPECT_TRUE(absl::StrContains(refused_[0].reason(), text))
        << refused_[0].reason();
    EXPECT_TRUE(absl::StrContains(refused_[0].reason(), "build it"));
  }
}

// Shows that a name can neither leave the log directory nor be taken twice.
TEST_F(RestartTest, DefineRefusesBadNames) {
  for (const char* name : {"", "../x", ".hidden", "a/b", "a b"}) {
    refused_.clear();
    Define(Spec(name));
    ASSERT_TRUE(Until([&] { return !refused_.empty(); })) << name;
  }
  Define(Spec("nic0"));
  refused_.clear();
  ProcessSpec other = Spec("nic0");
  other.set_max_fds(20);
  Define(other);
  ASSERT_TRUE(Until([&] { return !refused_.empty(); }));
  EXPECT_TRUE(absl::StrContains(refused_[0].reason(), "remove it first"));
  // The same once more is no mistake.
  refused_.clear();
  Define(Spec("nic0"));
  Begin("nic0");
  ASSERT_TRUE(UntilPhase("nic0", ProcessState::RUNNING));
  EXPECT_TRUE(refused_.empty());
}

// Shows that requests for a process that is not there, or not in that state,
// are refused and change nothing.
TEST_F(RestartTest, OrdersOutOfPlaceAreRefused) {
  Begin("nobody");
  Restart("nobody");
  Remove("nobody");
  ASSERT_TRUE(Until([&] { return refused_.size() == 3; }));
  Run(Spec("nic0"));
  Begin("nic0");
  ASSERT_TRUE(Until([&] { return refused_.size() == 4; }));
  ToSupervisor signal;
  signal.mutable_signal()->set_name("nic0");
  signal.mutable_signal()->set_number(4711);
  Send(signal);
  ASSERT_TRUE(Until([&] { return refused_.size() == 5; }));
  EXPECT_EQ(State("nic0").phase(), ProcessState::RUNNING);
}

// Shows that a program that replaced the defined one is not executed, and that
// one that was written into is refused.
TEST_F(RestartTest, SwappedProgramIsNotExecuted) {
  namespace fs = std::filesystem;
  const std::string path = directory_ + "/program";
  fs::copy_file(ProgramPath("supervisor/testing/test_child"), path);
  fs::permissions(path, fs::perms::owner_all | fs::perms::others_exec |
                            fs::perms::others_read);
  ProcessSpec spec = Spec("nic0");
  spec.set_program(path);
  Run(spec);
  fs::copy_file("/bin/false", directory_ + "/other");
  fs::rename(directory_ + "/other", path);
  ::kill(Pid("nic0"), SIGKILL);
  ASSERT_TRUE(UntilDied("nic0"));
  Begin("nic0");
  ASSERT_TRUE(Until([&] {
    return State("nic0").generation() == 2 &&
           State("nic0").phase() == ProcessState::RUNNING;
  }));

  spec.set_name("nic1");
  spec.set_program(directory_ + "/second");
  fs::copy_file(ProgramPath("supervisor/testing/test_child"), spec.program());
  fs::permissions(spec.program(), fs::perms::owner_all);
  // Before a process runs from it, which would make it "busy".
  const int fd = ::open(spec.program().c_str(), O_WRONLY | O_APPEND);
  Define(spec);
  ASSERT_TRUE(UntilPhase("nic1", ProcessState::WAITING));
  ASSERT_EQ(::write(fd, "x", 1), 1);
  ::close(fd);
  Begin("nic1");
  ASSERT_TRUE(UntilDied("nic1"));
  EXPECT_TRUE(absl::StrContains(died_["nic1"][0].cause(), "written into"));
}

}  // namespace
}  // namespace bulkhead::supervisor
