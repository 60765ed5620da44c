// The supervisor binary, with a platform service for tests.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "supervisor/testing/fixture.h"

namespace bulkhead::supervisor {
namespace {

namespace fs = std::filesystem;

class MainTest : public ::testing::Test {
 protected:
  MainTest() {
    std::string pattern = ::testing::TempDir() + "/run.XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
  }
  ~MainTest() override {
    if (supervisor_ > 0) {
      ::kill(supervisor_, SIGKILL);
      ::waitpid(supervisor_, nullptr, 0);
    }
    fs::remove_all(directory_);
    fs::remove(directory_ + ".output");
  }

  pid_t Launch(std::vector<std::string> arguments) {
    const std::string program = ProgramPath("supervisor/supervisor");
    arguments.insert(arguments.begin(), program);
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    const std::string output = directory_ + ".output";
    const pid_t pid = ::fork();
    if (pid == 0) {
      const int fd =
          ::open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
      ::dup2(fd, STDERR_FILENO);
      ::execv(program.c_str(), pointers.data());
      ::_exit(126);
    }
    return pid;
  }
  pid_t LaunchWith(const std::string& mode) {
    return Launch(
        {"--run_dir=" + directory_, "--bin_dir=/nowhere",
         "--platform=" + ProgramPath("supervisor/testing/test_platform"), "--",
         mode, ProgramPath("supervisor/testing/test_child")});
  }
  std::string Output() { return ReadFile(directory_ + ".output"); }
  static int WaitFor(pid_t pid) {
    int status = 0;
    ::waitpid(pid, &status, 0);
    return status;
  }
  std::string PlatformLog() {
    return ReadFile(directory_ + "/log/platform_service.log");
  }
  // The supervisor is another process here: looks again every millisecond.
  ::testing::AssertionResult Until(const std::function<bool()>& done) {
    const auto deadline =
        std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!done()) {
      if (std::chrono::steady_clock::now() > deadline) {
        return ::testing::AssertionFailure() << PlatformLog() << Output();
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return ::testing::AssertionSuccess();
  }
  // Last pid that the platform service was told of.
  pid_t PidOf(const std::string& name, int phase = 3) {
    const std::string log = PlatformLog();
    const std::string key =
        absl::StrCat("state ", name, " phase ", phase, " pid ");
    const size_t at = log.rfind(key);
    if (at == std::string::npos) return 0;
    return std::atoi(log.c_str() + at + key.size());
  }
  static std::set<pid_t> ChildrenOf(pid_t parent) {
    const std::string text =
        ReadFile(absl::StrCat("/proc/", parent, "/task/", parent, "/children"));
    std::set<pid_t> children;
    size_t at = 0;
    while (at < text.size()) {
      children.insert(std::atoi(text.c_str() + at));
      at = text.find(' ', at) + 1;
    }
    return children;
  }

  std::string directory_;
  pid_t supervisor_ = 0;
};

// Shows a whole life: pid file, arguments handed on, a driver's recovery, an
// orderly end at SIGTERM that leaves nothing behind.
TEST_F(MainTest, S10_OrderlyEndLeavesNothing) {
  supervisor_ = LaunchWith("run");
  ASSERT_TRUE(Until([&] { return PidOf("nic0") && PidOf("nic1"); }));
  EXPECT_EQ(ReadFile(directory_ + "/supervisor.pid"),
            absl::StrCat(supervisor_, "\n"));
  EXPECT_TRUE(absl::StrContains(PlatformLog(), "--run_dir=" + directory_));
  EXPECT_TRUE(absl::StrContains(PlatformLog(), "--bin_dir=/nowhere"));

  const pid_t victim = PidOf("nic0");
  const pid_t other = PidOf("nic1");
  ::kill(victim, SIGKILL);
  ASSERT_TRUE(Until([&] { return PidOf("nic0") != victim; }));
  EXPECT_EQ(PidOf("nic1"), other);

  const std::set<pid_t> children = ChildrenOf(supervisor_);
  EXPECT_GE(children.size(), 3u);
  ::kill(supervisor_, SIGTERM);
  const int status = WaitFor(std::exchange(supervisor_, 0));
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << Output();
  for (const pid_t child : children) EXPECT_NE(::kill(child, 0), 0);
  EXPECT_TRUE(fs::is_empty(directory_));
}

// Shows that the platform service can be killed: the drivers keep their pids,
// and the next one gets what was parked.
TEST_F(MainTest, S5_PlatformServiceComesBack) {
  supervisor_ = LaunchWith("run");
  ASSERT_TRUE(Until([&] { return PidOf("nic0") && PidOf("nic1"); }));
  const pid_t first = PidOf("nic0");
  const pid_t second = PidOf("nic1");
  const std::string key = "platform service: spawned: pid ";
  ASSERT_TRUE(absl::StrContains(Output(), key));
  const pid_t platform =
      std::atoi(Output().c_str() + Output().find(key) + key.size());
  ASSERT_GT(platform, 0);
  ::kill(platform, SIGKILL);
  ASSERT_TRUE(
      Until([&] { return absl::StrContains(PlatformLog(), "restored 2"); }));
  EXPECT_TRUE(
      absl::StrContains(PlatformLog(), "parked null with 1 descriptors"));
  EXPECT_EQ(::kill(first, 0), 0);
  EXPECT_EQ(::kill(second, 0), 0);
  EXPECT_FALSE(absl::StrContains(PlatformLog(), "died nic"));
  // And it recovers drivers as before.
  ::kill(first, SIGKILL);
  ASSERT_TRUE(Until([&] { return PidOf("nic0") != first; }));
}

// Shows that everything ends with the supervisor, also when that is killed.
TEST_F(MainTest, S5_DeathOfTheSupervisorEndsAll) {
  supervisor_ = LaunchWith("run");
  ASSERT_TRUE(Until([&] { return PidOf("nic0") && PidOf("nic1"); }));
  const std::set<pid_t> children = ChildrenOf(supervisor_);
  ASSERT_GE(children.size(), 3u);
  ::kill(PidOf("nic1"), SIGSTOP);
  ::kill(supervisor_, SIGKILL);
  WaitFor(std::exchange(supervisor_, 0));
  for (const pid_t child : children) {
    EXPECT_TRUE(Until([&] {
      // A zombie whose new parent has not looked yet is dead as well.
      const std::string stat = ReadFile(absl::StrCat("/proc/", child, "/stat"));
      return stat.empty() || absl::StrContains(stat, ") Z ");
    }));
  }
}

// Shows that a run directory has one supervisor, and that the second one says
// who is there and what to do.
TEST_F(MainTest, SecondSupervisorIsRefused) {
  supervisor_ = LaunchWith("run");
  ASSERT_TRUE(Until([&] { return PidOf("nic0"); }));
  const int status = WaitFor(LaunchWith("run"));
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1);
  EXPECT_TRUE(absl::StrContains(
      Output(), absl::StrCat("a supervisor with pid ", supervisor_,
                             " runs there; stop it with `bulkhead down`")))
      << Output();
  EXPECT_EQ(::kill(supervisor_, 0), 0);
}

// Shows that a platform service that fails again and again ends the supervisor
// with the reason, after ten times and not before.
TEST_F(MainTest, FailingPlatformServiceIsGivenUp) {
  const int status = WaitFor(LaunchWith("fail"));
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1);
  EXPECT_TRUE(absl::StrContains(
      Output(),
      "the platform service failed 10 times in a row; last: exited "
      "with status 9"))
      << Output();
  // The log stays, since it says why.
  EXPECT_TRUE(absl::StrContains(PlatformLog(), "argument fail"));
}

// Shows that wrong usage ends with status 2 and the right usage.
TEST_F(MainTest, UsageIsChecked) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{}, {"--run_dir=x"}, {"--nonsense"}}) {
    const int status = WaitFor(Launch(arguments));
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 2);
  }
  EXPECT_TRUE(absl::StrContains(Output(), "usage: supervisor --run_dir="));
  const int status = WaitFor(Launch(
      {"--run_dir=" + directory_, "--bin_dir=/", "--platform=/no/such"}));
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1);
  EXPECT_TRUE(absl::StrContains(Output(), "use program /no/such"));
}

// Shows that a driver typed into a shell says what it is.
TEST_F(MainTest, ChildWithoutSupervisorSaysSo) {
  const std::string command =
      absl::StrCat(ProgramPath("supervisor/testing/test_child"), " 3<&- 2>",
                   directory_, "/said");
  const int status = ::system(command.c_str());
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 2);
  EXPECT_TRUE(
      absl::StrContains(ReadFile(directory_ + "/said"),
                        "this program is started by the Bulkhead supervisor"));
}

}  // namespace
}  // namespace bulkhead::supervisor
