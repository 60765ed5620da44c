#include "platform_service/vfio/helper.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/log.h"
#include "platform_service/linux_interface/interface_taker.h"
#include "platform_service/vfio/function_taker.h"

extern char** environ;

namespace bulkhead::platform {
namespace {

// Held locked by the guard for as long as it lives.
std::string GuardLock(const std::string& run_dir) {
  return run_dir + "/guard.lock";
}

// Unless the file is that of a later system in the same place.
void RemoveLock(const std::string& run_dir, const UniqueFd& lock) {
  struct stat ours, there;
  const std::string path = GuardLock(run_dir);
  if (lock.valid() && ::fstat(lock.get(), &ours) == 0 &&
      ::stat(path.c_str(), &there) == 0 && ours.st_ino == there.st_ino) {
    ::unlink(path.c_str());
  }
}

UniqueFd PidFd(pid_t pid) {
  return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

// This program with other arguments and no signal blocked.
absl::StatusOr<pid_t> SpawnSelf(const std::vector<std::string>& arguments) {
  std::string name = "platform_service";
  std::vector<std::string> copies = arguments;
  std::vector<char*> argv = {name.data()};
  for (std::string& argument : copies) argv.push_back(argument.data());
  argv.push_back(nullptr);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t none;
  ::sigemptyset(&none);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, "/proc/self/exe", nullptr, &attributes,
                                  argv.data(), environ);
  ::posix_spawnattr_destroy(&attributes);
  if (error != 0) return ErrnoStatus("start a helper process", error);
  return pid;
}

absl::StatusOr<UniqueFd> Start(const std::string& run_dir,
                               const std::string& order) {
  ASSIGN_OR_RETURN(const pid_t pid,
                   SpawnSelf({absl::StrCat("--run_dir=", run_dir), order}));
  UniqueFd pidfd = PidFd(pid);
  if (!pidfd.valid()) return ErrnoStatus("watch a helper process");
  return pidfd;
}

// The guard must hold nobody's descriptors, nor a working directory.
void KeepOnly(int a, int b) {
  ::signal(SIGPIPE, SIG_IGN);  // The log's reader is the supervisor.
  const unsigned low = static_cast<unsigned>(std::min(a, b));
  const unsigned high = static_cast<unsigned>(std::max(a, b));
  ::close_range(0, low - 1, 0);
  if (high > low + 1) ::close_range(low + 1, high - 1, 0);
  ::close_range(high + 1, ~0u, 0);
  // The standard descriptors, for whatever is opened later.
  for (int fd = 0; fd < 3; ++fd) {
    if (::open("/dev/null", O_RDWR) < 0) return;
  }
  if (::chdir("/") != 0) return;
}

// Nothing of theirs has to be waited for.
bool GiveBackInterfaces(const std::string& run_dir) {
  const absl::Status status =
      InterfaceTaker(InterfaceRecordsOf(run_dir)).GiveBackAll();
  if (!status.ok()) LogError(status.message());
  return status.ok();
}

// Each in a process of its own: one that has to wait must not hold up the rest.
int GiveBackEach(FunctionTaker& taker) {
  std::vector<pid_t> children;
  for (const std::string& address : taker.Taken()) {
    const pid_t child = ::fork();
    if (child == 0) {
      const absl::Status status = taker.GiveBack(address);
      if (status.ok()) {
        LogInfo(absl::StrCat("gave back ", address));
      } else {
        LogError(status.message());
      }
      ::_exit(status.ok() ? 0 : 1);
    }
    children.push_back(child);
  }
  int exit_status = 0;
  for (const pid_t child : children) {
    int status = 1;
    if (child < 0 || ::waitpid(child, &status, 0) < 0 || status != 0) {
      exit_status = 1;
    }
  }
  return exit_status;
}

}  // namespace

absl::StatusOr<UniqueFd> StartGiveBack(const std::string& run_dir,
                                       const std::string& address) {
  return Start(run_dir,
               address.empty() ? "--give_back" : "--give_back=" + address);
}

absl::StatusOr<UniqueFd> StartRescan(const std::string& run_dir,
                                     const std::string& address) {
  return Start(run_dir, "--rescan=" + address);
}

absl::Status ReapHelper(const UniqueFd& pidfd) {
  siginfo_t info = {};
  // P_PIDFD, which glibc of Debian 12 names.
  if (::waitid(P_PIDFD, static_cast<id_t>(pidfd.get()), &info, WEXITED) != 0) {
    return ErrnoStatus("wait for a helper process");
  }
  if (info.si_code == CLD_EXITED && info.si_status == 0) {
    return absl::OkStatus();
  }
  return absl::InternalError(
      "a helper process failed; the platform service's log says why, and "
      "`bulkhead down` gives back what is left");
}

absl::Status EnsureGuard(const std::string& run_dir) {
  const std::string path = GuardLock(run_dir);
  const UniqueFd lock(
      ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock.valid()) return ErrnoStatus(absl::StrCat("open ", path));
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) return absl::OkStatus();
  ::flock(lock.get(), LOCK_UN);
  ASSIGN_OR_RETURN(const pid_t pid,
                   SpawnSelf({absl::StrCat("--run_dir=", run_dir),
                              absl::StrCat("--guard=", ::getppid())}));
  // It leaves at once, and its own child is the guard.
  int status = 0;
  if (::waitpid(pid, &status, 0) != pid || status != 0) {
    return absl::InternalError("start the guard: it ended at once");
  }
  return absl::OkStatus();
}

int RunGiveBack(const std::string& run_dir, const std::string& address) {
  FunctionTaker taker(std::make_unique<Sysfs>(), RecordsOf(run_dir));
  if (address.empty()) {
    // The guard may be at it.
    const UniqueFd lock(
        ::open(GuardLock(run_dir).c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    if (lock.valid()) ::flock(lock.get(), LOCK_EX);
    int exit_status = GiveBackEach(taker);
    if (!GiveBackInterfaces(run_dir)) exit_status = 1;
    RemoveLock(run_dir, lock);
    return exit_status;
  }
  const absl::Status status = taker.GiveBack(address);
  if (!status.ok()) LogError(status.message());
  return status.ok() ? 0 : 1;
}

int RunRescan(const std::string& run_dir, const std::string& address) {
  FunctionTaker taker(std::make_unique<Sysfs>(), RecordsOf(run_dir));
  // Never one that is not ours.
  if (!taker.IsTaken(address)) return 1;
  absl::Status status = taker.sysfs().Write(
      absl::StrCat("bus/pci/devices/", address, "/remove"), "1");
  status.Update(taker.sysfs().Write("bus/pci/rescan", "1"));
  // Whether to take it then is not decided here.
  if (status.ok()) taker.Reserve(address).IgnoreError();
  if (!status.ok()) LogError(status.message());
  return status.ok() ? 0 : 1;
}

int RunGuard(const std::string& run_dir, pid_t supervisor) {
  // Before the fork, while the platform service, which we wait for no longer,
  // is there: the supervisor is its parent, and alive.
  const UniqueFd pidfd = PidFd(supervisor);
  const UniqueFd lock(
      ::open(GuardLock(run_dir).c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!pidfd.valid() || !lock.valid() ||
      ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return 1;
  }
  const pid_t guard = ::fork();
  if (guard != 0) return guard < 0 ? 1 : 0;
  KeepOnly(pidfd.get(), lock.get());
  pollfd wait = {pidfd.get(), POLLIN, 0};
  while (::poll(&wait, 1, -1) < 0 && errno == EINTR) {
  }
  FunctionTaker taker(std::make_unique<Sysfs>(), RecordsOf(run_dir));
  int exit_status = 0;
  if (!taker.Taken().empty() ||
      !InterfaceTaker(InterfaceRecordsOf(run_dir)).Taken().empty()) {
    const std::string log = run_dir + "/log/guard.log";
    const int fd = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd >= 0) ::dup2(fd, STDERR_FILENO);
    exit_status = GiveBackEach(taker);
    if (!GiveBackInterfaces(run_dir)) exit_status = 1;
  }
  RemoveLock(run_dir, lock);
  return exit_status;
}

}  // namespace bulkhead::platform
