#include "tests/bench/floors.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/errno_status.h"
#include "base/seqpacket.h"
#include "supervisor/api/child.pb.h"
#include "tests/bench/memory_map.h"

namespace bulkhead::bench {
namespace {

struct Child {
  pid_t pid = 0;
  UniqueFd pidfd;
  SeqpacketChannel channel;
  double ready_us = 0;

  Child() = default;
  Child(Child&&) = default;
  ~Child() {
    if (pid <= 0) return;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
};

// Spawns `program` with descriptor 3 and waits for its Ready.
absl::StatusOr<std::unique_ptr<Child>> SpawnChild(const std::string& program) {
  auto child = std::make_unique<Child>();
  ASSIGN_OR_RETURN(auto ends, SeqpacketChannel::CreatePair());
  child->channel = std::move(ends.first);
  // dup2 onto itself would leave close-on-exec set.
  UniqueFd far(::fcntl(ends.second.fd(), F_DUPFD_CLOEXEC, 10));
  ends.second.Close();
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, far.get(), 3);
  char* argv[] = {const_cast<char*>(program.c_str()), nullptr};
  char* env[] = {nullptr};
  const uint64_t begin = MonotonicNs();
  const int error =
      ::posix_spawn(&child->pid, program.c_str(), &actions, nullptr, argv, env);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return ErrnoStatus("run " + program, error);
  far.Reset();
  supervisor::FromChild ready;
  std::vector<UniqueFd> fds;
  RETURN_IF_ERROR(child->channel.WaitReceive(&ready, &fds, 5000));
  child->ready_us = (MonotonicNs() - begin) / 1e3;
  child->pidfd =
      UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, child->pid, 0)));
  if (!child->pidfd.valid()) return ErrnoStatus("pidfd_open");
  return child;
}

// Answers each event until its parent is gone.
[[noreturn]] void Answer(int in, int out) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  while (true) {
    pollfd wait = {in, POLLIN, 0};
    ::poll(&wait, 1, -1);
    uint64_t value;
    if (::read(in, &value, 8) != 8 || ::write(out, &value, 8) != 8) ::_exit(1);
  }
}

}  // namespace

absl::StatusOr<Samples> KillToPidfd(const std::string& program,
                                    int repetitions) {
  Samples samples;
  for (int i = 0; i < repetitions; ++i) {
    ASSIGN_OR_RETURN(const auto child, SpawnChild(program));
    const uint64_t begin = MonotonicNs();
    ::kill(child->pid, SIGKILL);
    pollfd wait = {child->pidfd.get(), POLLIN, 0};
    ::poll(&wait, 1, -1);
    samples.Add((MonotonicNs() - begin) / 1e3);
  }
  return samples;
}

absl::StatusOr<Samples> SpawnToReady(const std::string& program,
                                     int repetitions) {
  Samples samples;
  for (int i = 0; i < repetitions; ++i) {
    ASSIGN_OR_RETURN(const auto child, SpawnChild(program));
    samples.Add(child->ready_us);
  }
  return samples;
}

Samples CpuidAtStart(int repetitions) {
  Samples samples;
#if defined(__x86_64__)
  constexpr int kAtStart = 68;
  for (int i = 0; i < repetitions; ++i) {
    const uint64_t begin = MonotonicNs();
    for (int call = 0; call < kAtStart; ++call) {
      unsigned a, b, c, d;
      __cpuid_count(4, call & 3, a, b, c, d);
    }
    samples.Add((MonotonicNs() - begin) / 1e3);
  }
#else
  samples.Add(0);
#endif
  return samples;
}

absl::StatusOr<Samples> EventfdRoundTrip(int repetitions) {
  UniqueFd there(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  UniqueFd back(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!there.valid() || !back.valid()) return ErrnoStatus("eventfd");
  Child peer;
  peer.pid = ::fork();
  if (peer.pid < 0) return ErrnoStatus("fork");
  if (peer.pid == 0) Answer(there.get(), back.get());
  Samples samples;
  for (int i = 0; i < repetitions; ++i) {
    uint64_t value = 1;
    const uint64_t begin = MonotonicNs();
    if (::write(there.get(), &value, 8) != 8) return ErrnoStatus("write");
    pollfd wait = {back.get(), POLLIN, 0};
    ::poll(&wait, 1, -1);
    if (::read(back.get(), &value, 8) != 8) return ErrnoStatus("read");
    samples.Add((MonotonicNs() - begin) / 1e3);
  }
  return samples;
}

absl::StatusOr<double> ChildPrivateKib(const std::string& program) {
  ASSIGN_OR_RETURN(const auto child, SpawnChild(program));
  ASSIGN_OR_RETURN(const MemoryUse use, ReadMemoryUse(child->pid));
  return static_cast<double>(use.private_dirty);
}

std::string FloorChild(const std::string& bin_dir) {
  return bin_dir + "/tests/bench/floor_child";
}

}  // namespace bulkhead::bench
