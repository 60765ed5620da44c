// What a child can and cannot do, seen from inside and outside.
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "supervisor/testing/fixture.h"

// Set for the sanitizer builds, whose programs are dynamic and so get no
// allow-list and no empty file system.
#ifdef BULKHEAD_SANITIZER
#define NEEDS_STATIC_CHILD() \
  GTEST_SKIP() << "sanitizers need a dynamic child, which has no allow-list"
#else
#define NEEDS_STATIC_CHILD() static_assert(true)
#endif

namespace bulkhead::supervisor {
namespace {

namespace fs = std::filesystem;

class SandboxTest : public SupervisorFixture {
 protected:
  std::string Proc(const std::string& name, const std::string& file) {
    return absl::StrCat("/proc/", Pid(name), "/", file);
  }
  std::string Link(const std::string& name, const std::string& file) {
    return fs::read_symlink(Proc(name, file)).string();
  }
  // The value of a line of /proc/PID/status.
  std::string Status(const std::string& name, const std::string& key) {
    const std::string all = ReadFile(Proc(name, "status"));
    const size_t at = all.find("\n" + key + ":\t");
    if (at == std::string::npos) return "";
    const size_t from = at + key.size() + 3;
    return all.substr(from, all.find('\n', from) - from);
  }
};

// Shows from outside that a child holds its standard ones, its channel, its
// grant, and what its own event loop made: nothing of the supervisor's.
TEST_F(SandboxTest, S5_DescriptorsAreItsOwn) {
  // Something that must not leak, not even close-on-exec by mistake.
  const int careless = ::open("/etc/hostname", O_RDONLY);
  Run(Spec("nic0"));
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  Run(Spec("nic1"), "", {ends[1]});
  for (const auto& [name, granted] :
       {std::pair<std::string, int>{"nic0", 0}, {"nic1", 1}}) {
    std::multiset<std::string> kinds;
    for (const auto& entry : fs::directory_iterator(Proc(name, "fd"))) {
      const std::string target = fs::read_symlink(entry.path()).string();
      kinds.insert(target.substr(0, target.find(":[")));
    }
    const std::multiset<std::string> own = {
        "/dev/null",
        "pipe",  // Standard output and error: the log.
        "pipe",
        "socket",
        "anon_inode:[eventpoll]",
        "anon_inode:[timerfd]",
        "anon_inode:[eventfd]",
    };
    std::multiset<std::string> expected;
    for (const std::string& kind : own) {
      expected.insert(kind.substr(0, kind.find(":[")));
    }
    for (int i = 0; i < granted; ++i) expected.insert("pipe");
    EXPECT_EQ(kinds, expected) << name;
  }
  ::close(careless);
  ::close(ends[0]);
  ::close(ends[1]);
}

// Shows that no variable of the supervisor's environment gets through.
TEST_F(SandboxTest, EnvironmentIsEmpty) {
  ::setenv("BULKHEAD_TEST_SECRET", "x", 1);
  Run(Spec("nic0"), "environment");
  ASSERT_TRUE(UntilLogHas("nic0", "environment: 0 variables"));
  EXPECT_EQ(ReadFile(Proc("nic0", "environ")), "");
}

// Shows the kernel's own view of the sandbox.
TEST_F(SandboxTest, KernelConfirms) {
  ProcessSpec spec = Spec("nic0");
  spec.add_cpus(0);
  spec.set_memory_bytes(8 << 20);
  spec.set_max_fds(32);
#ifdef BULKHEAD_SANITIZER
  spec.set_memory_bytes(0);
#endif
  Run(spec);
  EXPECT_EQ(Status("nic0", "NoNewPrivs"), "1");
  EXPECT_EQ(Status("nic0", "CapEff"), "0000000000000000");
  EXPECT_EQ(Status("nic0", "CapPrm"), "0000000000000000");
  EXPECT_EQ(Status("nic0", "Cpus_allowed_list"), "0");
  EXPECT_EQ(Status("nic0", "Seccomp"), "2");
  const std::string limits = ReadFile(Proc("nic0", "limits"));
  EXPECT_TRUE(absl::StrContains(limits, "Max open files            32  "))
      << limits;
  EXPECT_TRUE(absl::StrContains(limits, "Max core file size        0  "));
  bool refused = false;
  for (const std::string& line : State("nic0").not_applied()) {
    refused |= absl::StartsWith(line, "change of user");
  }
  if (::geteuid() == 0 && !refused) {
    EXPECT_EQ(Status("nic0", "Uid"), "65534\t65534\t65534\t65534");
    EXPECT_EQ(Status("nic0", "Gid"), "65534\t65534\t65534\t65534");
    EXPECT_EQ(Status("nic0", "Groups"), " ");
  }
}

// Shows that whatever is not reported as not applied is in force: namespaces
// other than the supervisor's, and an empty file system.
TEST_F(SandboxTest, NotAppliedTellsTheTruth) {
  Run(Spec("nic0"));
  std::string missing;
  for (const std::string& line : State("nic0").not_applied()) {
    absl::StrAppend(&missing, line, "\n");
  }
  RecordProperty("not_applied", missing);
  const std::pair<const char*, const char*> namespaces[] = {
      {"net", "network namespace"},
      {"ipc", "IPC namespace"},
      {"uts", "UTS namespace"},
      {"mnt", "mount namespace"}};
  for (const auto& [file, words] : namespaces) {
    const bool other =
        Link("nic0", absl::StrCat("ns/", file)) !=
        fs::read_symlink(absl::StrCat("/proc/self/ns/", file)).string();
    EXPECT_NE(other, absl::StrContains(missing, words)) << file << missing;
  }
  if (!absl::StrContains(missing, "mount namespace")) {
    EXPECT_TRUE(fs::is_empty(Proc("nic0", "root/")));
  }
  const bool filtered = Status("nic0", "Seccomp_filters") == "2";
  EXPECT_NE(filtered, absl::StrContains(missing, "allow-list"));
}

class ForbiddenCallTest : public SandboxTest,
                          public ::testing::WithParamInterface<const char*> {};

// Shows that a child that tries it ends with SIGSYS, that its log names the
// call, and that neither the supervisor nor a neighbour is touched.
TEST_P(ForbiddenCallTest, S5_EndsTheChild) {
  NEEDS_STATIC_CHILD();
  Run(Spec("neighbour"));
  const pid_t neighbour = Pid("neighbour");
  Run(Spec("nic0"), GetParam());
  ASSERT_TRUE(UntilDied("nic0"));
  EXPECT_EQ(died_["nic0"][0].cause(),
            "killed by signal 31 (Bad system call); its log names the system "
            "call");
  ASSERT_TRUE(UntilLogHas("nic0", "the sandbox refused system call"));
  EXPECT_FALSE(absl::StrContains(Log("nic0"), "survived"));
  EXPECT_EQ(Pid("neighbour"), neighbour);
  EXPECT_EQ(::kill(neighbour, 0), 0);
}

INSTANTIATE_TEST_SUITE_P(
    All, ForbiddenCallTest,
    ::testing::Values("open", "socket", "fork", "ptrace", "kill", "tgkill",
                      "setown", "blocking", "blocking_ioctl", "mount", "bpf",
                      "keyctl", "unshare", "shared_memory", "code",
                      "pdeathsig"),
    [](const auto& info) { return std::string(info.param); });

// Shows that a child ends when it starts a thread and may not. The C library
// does it with signals blocked, so that the log cannot name the call.
TEST_F(SandboxTest, S5_AThreadThatIsNotAllowedEndsTheChild) {
  NEEDS_STATIC_CHILD();
  Run(Spec("nic0"), "thread");
  ASSERT_TRUE(UntilDied("nic0"));
  EXPECT_TRUE(absl::StartsWith(died_["nic0"][0].cause(),
                               "killed by signal 31 (Bad system call)"))
      << died_["nic0"][0].cause();
  EXPECT_FALSE(absl::StrContains(Log("nic0"), "a thread ran"));
}

// Shows that a child that may start threads starts them, and that this lets it
// make no process.
TEST_F(SandboxTest, S5_ThreadsOfAChildAreNoProcesses) {
  NEEDS_STATIC_CHILD();
  ProcessSpec spec = Spec("nic0");
  spec.set_threads(true);
  Run(spec, "thread_and_fork");
  ASSERT_TRUE(UntilLogHas("nic0", "a thread ran"));
  ASSERT_TRUE(UntilDied("nic0"));
  EXPECT_EQ(died_["nic0"][0].cause(),
            "killed by signal 31 (Bad system call); its log names the system "
            "call");
  EXPECT_FALSE(absl::StrContains(Log("nic0"), "survived"));
}

// Shows that after the start nothing more is executed, not even by the
// descriptor call that the allow-list had to leave open.
TEST_F(SandboxTest, NothingIsExecutedAfterTheStart) {
  for (const char* mode : {"exec", "execveat"}) {
    Define(Spec(mode, {mode}));
    Begin(mode);
    ASSERT_TRUE(UntilDied(mode));
    EXPECT_TRUE(absl::StartsWith(died_[mode][0].cause(),
                                 "killed by signal 31 (Bad system call)"))
        << died_[mode][0].cause();
  }
}

// Shows that a child that takes all memory it can get dies at its limit.
TEST_F(SandboxTest, MemoryIsLimited) {
  NEEDS_STATIC_CHILD();
  ProcessSpec spec = Spec("nic0");
  spec.set_memory_bytes(16 << 20);
  Run(spec, "memory_bomb");
  ASSERT_TRUE(UntilDied("nic0"));
  EXPECT_EQ(died_["nic0"][0].cause(), "killed by signal 6 (Aborted)");
}

// Shows that descriptors are limited, and that running out of them is the
// child's own matter.
TEST_F(SandboxTest, DescriptorsAreLimited) {
  ProcessSpec spec = Spec("nic0");
  spec.set_max_fds(20);
  Run(spec, "leak_fds");
  // 20 less three standard ones, the channel, and the loop's three.
  ASSERT_TRUE(UntilLogHas("nic0", "leaked 13 descriptors"));
  EXPECT_TRUE(died_["nic0"].empty());
}

// Shows that a log can be shown on a terminal, whatever the child writes.
TEST_F(SandboxTest, LogIsSanitised) {
  Run(Spec("nic0"), "control_characters");
  ASSERT_TRUE(UntilLogHas("nic0", "next\n"));
  EXPECT_TRUE(absl::StrContains(Log("nic0"), "a\\x1b[31mred\\x07\nnext\n"));
}

// Shows that megabytes of log stay within their two files, that the loss is
// told, and that the writer lives.
TEST_F(SandboxTest, LogIsBounded) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_NONBLOCK), 0);
  Run(Spec("nic0"), "flood_log", {ends[1]});
  char word[8];
  ASSERT_TRUE(Until([&] { return ::read(ends[0], word, sizeof(word)) > 0; }));
  ::close(ends[0]);
  ::close(ends[1]);
  ::kill(Pid("nic0"), SIGKILL);
  ASSERT_TRUE(UntilDied("nic0"));
  EXPECT_EQ(died_["nic0"][0].cause(), "killed by signal 9 (Killed)");
  ASSERT_TRUE(UntilLogHas("nic0", "bytes dropped: the process writes more"));
  EXPECT_LT(Log("nic0").size(), 300u << 10);
}

}  // namespace
}  // namespace bulkhead::supervisor
