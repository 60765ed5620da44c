#include "supervisor/sandbox.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace bulkhead::supervisor {
namespace {

// nobody:nogroup on every Linux.
constexpr uid_t kNobody = 65534;
constexpr uint32_t kDefaultMaxFds = 256;
// Three standard ones, the channel, an epoll set, its timer and wake-up, and
// room to start the program.
constexpr uint32_t kLeastFds = 16;

int ErrorOf(int result) { return result < 0 ? errno : 0; }

const char* Words(SandboxPart part) {
  switch (part) {
    case SandboxPart::kUserNamespace:
      return "user namespace";
    case SandboxPart::kNetworkNamespace:
      return "network namespace";
    case SandboxPart::kIpcNamespace:
      return "IPC namespace";
    case SandboxPart::kUtsNamespace:
      return "UTS namespace";
    case SandboxPart::kMountNamespace:
      return "empty file system (mount namespace)";
    case SandboxPart::kCoreLimit:
      return "no core dumps (RLIMIT_CORE)";
    case SandboxPart::kFdLimit:
      return "limit of descriptors (RLIMIT_NOFILE)";
    case SandboxPart::kMemoryLimit:
      return "memory limit (RLIMIT_DATA)";
    case SandboxPart::kCpuAffinity:
      return "CPU placement";
    case SandboxPart::kNoCapabilities:
      return "no capabilities";
    case SandboxPart::kDropPrivileges:
      return "change of user to nobody";
    case SandboxPart::kProcessLimit:
      return "limit of processes (RLIMIT_NPROC)";
    case SandboxPart::kParentDeathSignal:
      return "death with the supervisor (PR_SET_PDEATHSIG)";
    case SandboxPart::kNoNewPrivileges:
      return "no new privileges";
    case SandboxPart::kSeccomp:
      return "system call allow-list (seccomp)";
    case SandboxPart::kCount:
      break;
  }
  return "?";
}

int SetLimit(__rlimit_resource resource, rlim_t value) {
  rlimit limit = {value, value};
  // Never above what the system allows.
  rlimit current;
  if (value > 0 && ::getrlimit(resource, &current) == 0 &&
      current.rlim_max != RLIM_INFINITY && value > current.rlim_max) {
    limit.rlim_cur = limit.rlim_max = current.rlim_max;
  }
  return ErrorOf(::setrlimit(resource, &limit));
}

// Root's number alone gives the program no capability any more. This matters
// where the change of user is refused (a container that knows no "nobody").
int DropCapabilities() {
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0) {
    return errno;
  }
  return ErrorOf(
      ::prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED));
}

// From root to nobody, with no group, in raw system calls: the C library's
// wrappers would change every thread of the supervisor.
int DropPrivileges() {
  if (::syscall(SYS_setgroups, 0, nullptr) < 0) return errno;
  if (::syscall(SYS_setresgid, kNobody, kNobody, kNobody) < 0) return errno;
  if (::syscall(SYS_setresuid, kNobody, kNobody, kNobody) < 0) return errno;
  return 0;
}

int WriteFile(const char* path, const char* text) {
  const int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  const ssize_t written = ::write(fd, text, std::strlen(text));
  const int error = written < 0 ? errno : 0;
  ::close(fd);
  return error;
}

// A new user namespace in which the caller keeps its own number, so that files
// and /proc look the same from both sides.
int NewUserNamespace() {
  const unsigned uid = ::getuid();
  const unsigned gid = ::getgid();
  if (::unshare(CLONE_NEWUSER) != 0) return errno;
  char map[64];
  std::snprintf(map, sizeof(map), "%u %u 1\n", uid, uid);
  if (const int error = WriteFile("/proc/self/uid_map", map)) return error;
  (void)WriteFile("/proc/self/setgroups", "deny");
  std::snprintf(map, sizeof(map), "%u %u 1\n", gid, gid);
  return WriteFile("/proc/self/gid_map", map);
}

// A mount namespace whose whole tree is one empty directory.
int NewEmptyFileSystem() {
  if (::unshare(CLONE_NEWNS) != 0) return errno;
  // Nothing done here may reach the machine's own mounts.
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return errno;
  }
  constexpr char kAnyDirectory[] = "/proc";
  if (::mount("bulkhead", kAnyDirectory, "tmpfs",
              MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
              "size=4k,mode=0555") != 0) {
    return errno;
  }
  if (::chdir(kAnyDirectory) != 0) return errno;
  // Both arguments the same: the old root ends up on top of the new one, and
  // is taken off there (pivot_root(2), NOTES).
  if (::syscall(SYS_pivot_root, ".", ".") != 0) return errno;
  if (::umount2(".", MNT_DETACH) != 0) return errno;
  return ErrorOf(::chdir("/"));
}

}  // namespace

std::vector<std::string> NotApplied(const SandboxOutcome& outcome) {
  std::vector<std::string> lines;
  for (size_t i = 0; i < outcome.size(); ++i) {
    if (outcome[i] == 0) continue;
    lines.push_back(absl::StrCat(
        Words(static_cast<SandboxPart>(i)), ": ",
        outcome[i] == kNotForDynamicPrograms
            ? "the program is dynamically linked and must open its libraries"
            : std::strerror(outcome[i])));
  }
  return lines;
}

SandboxLimits LimitsOf(const ProcessSpec& spec) {
  SandboxLimits limits;
  limits.memory_bytes = spec.memory_bytes();
  limits.any_cpu = spec.cpus().empty();
  limits.threads = spec.threads();
  CPU_ZERO(&limits.cpus);
  for (const uint32_t cpu : spec.cpus()) {
    if (cpu < CPU_SETSIZE) CPU_SET(cpu, &limits.cpus);
  }
  limits.max_fds = std::max(
      spec.max_fds() == 0 ? kDefaultMaxFds : spec.max_fds(), kLeastFds);
  return limits;
}

Sandbox::Sandbox()
    : room_{{{SandboxPart::kUserNamespace, CLONE_NEWUSER, "user", 0, {}},
             {SandboxPart::kNetworkNamespace, CLONE_NEWNET, "net", 0, {}},
             {SandboxPart::kIpcNamespace, CLONE_NEWIPC, "ipc", 0, {}},
             {SandboxPart::kUtsNamespace, CLONE_NEWUTS, "uts", 0, {}},
             {SandboxPart::kMountNamespace, CLONE_NEWNS, "mnt", 0, {}}}},
      root_(::geteuid() == 0) {
  MakeRoom();
}

// A short-lived process makes the namespaces; descriptors of them keep them.
void Sandbox::MakeRoom() {
  auto* errors = static_cast<int*>(::mmap(nullptr, kLeastFds * sizeof(int),
                                          PROT_READ | PROT_WRITE,
                                          MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  int made[2];
  int done[2];
  if (errors == MAP_FAILED || ::pipe2(made, O_CLOEXEC) != 0) return;
  if (::pipe2(done, O_CLOEXEC) != 0) return;
  const pid_t builder = ::fork();
  if (builder == 0) {
    for (size_t i = 0; i < room_.size(); ++i) {
      const Namespace& space = room_[i];
      if (space.flag == CLONE_NEWUSER) {
        errors[i] = root_ ? 0 : NewUserNamespace();
      } else if (space.flag == CLONE_NEWNS) {
        errors[i] = NewEmptyFileSystem();
      } else {
        errors[i] = ErrorOf(::unshare(space.flag));
      }
    }
    ::close(done[1]);
    char byte = 0;
    [[maybe_unused]] ssize_t ignored = ::write(made[1], &byte, 1);
    // Stays until the supervisor has the descriptors, or is gone.
    ignored = ::read(done[0], &byte, 1);
    ::_exit(0);
  }
  ::close(made[1]);
  ::close(done[0]);
  char byte;
  const bool ready = builder > 0 && ::read(made[0], &byte, 1) == 1;
  for (size_t i = 0; i < room_.size(); ++i) {
    Namespace& space = room_[i];
    space.error = ready ? errors[i] : ECHILD;
    // As root no user namespace is wanted: nobody outside is nobody inside.
    if (space.error != 0 || (root_ && space.flag == CLONE_NEWUSER)) continue;
    const std::string path =
        absl::StrCat("/proc/", builder, "/ns/", space.file);
    space.fd.Reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!space.fd.valid()) space.error = errno;
  }
  ::close(made[0]);
  ::close(done[1]);
  if (builder > 0) ::waitpid(builder, nullptr, 0);
  ::munmap(errors, kLeastFds * sizeof(int));
}

void Sandbox::EnterRoom(const SandboxLimits& limits, SandboxOutcome* outcome) {
  for (const Namespace& space : room_) {
    int& error = (*outcome)[static_cast<size_t>(space.part)];
    error = space.error;
    if (space.flag == CLONE_NEWNS && limits.dynamic_program) {
      error = kNotForDynamicPrograms;
    } else if (space.fd.valid()) {
      error = ErrorOf(::setns(space.fd.get(), space.flag));
    }
  }
}

void Sandbox::Confine(const SandboxLimits& limits, pid_t supervisor,
                      SandboxOutcome* outcome) {
  const auto note = [outcome](SandboxPart part, int error) {
    (*outcome)[static_cast<size_t>(part)] = error;
  };
  note(SandboxPart::kCoreLimit, SetLimit(RLIMIT_CORE, 0));
  note(SandboxPart::kFdLimit, SetLimit(RLIMIT_NOFILE, limits.max_fds));
  if (limits.memory_bytes != 0) {
    note(SandboxPart::kMemoryLimit, SetLimit(RLIMIT_DATA, limits.memory_bytes));
  }
  if (!limits.any_cpu) {
    note(SandboxPart::kCpuAffinity,
         ErrorOf(::sched_setaffinity(0, sizeof(limits.cpus), &limits.cpus)));
  }
  if (root_) {
    note(SandboxPart::kNoCapabilities, DropCapabilities());
    note(SandboxPart::kDropPrivileges, DropPrivileges());
  }
  // After the change of user, which would otherwise count nobody's others. It
  // counts threads, and those of other processes of the user too, so that there
  // is no number that a process with threads could be given.
  if (!limits.dynamic_program && !limits.threads) {
    note(SandboxPart::kProcessLimit, SetLimit(RLIMIT_NPROC, 0));
  }
  // After the change of user too: that clears the signal.
  note(SandboxPart::kParentDeathSignal,
       ErrorOf(::prctl(PR_SET_PDEATHSIG, SIGKILL)));
  if (::getppid() != supervisor) ::_exit(0);
  note(SandboxPart::kNoNewPrivileges,
       ErrorOf(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)));
  if (limits.dynamic_program) {
    note(SandboxPart::kSeccomp, kNotForDynamicPrograms);
    return;
  }
  SeccompFilter& filter = limits.threads ? thread_filter_ : filter_;
  filter.SetOwnPid(::getpid());
  const sock_fprog program = filter.program();
  note(SandboxPart::kSeccomp,
       ErrorOf(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)));
}

}  // namespace bulkhead::supervisor
