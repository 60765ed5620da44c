#include "supervisor/spawn.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"

namespace bulkhead::supervisor {
namespace {

constexpr int kLogPipeFd = 1;
constexpr int kChannelFd = 3;
constexpr int kProgramFd = 4;
// Sources are moved above the targets first, so that none is overwritten.
constexpr int kFirstSafeFd = 10;
constexpr size_t kStackBytes = 64 << 10;

// What the new process reads and writes while it shares the supervisor's
// memory.
struct Launch {
  int program_fd;
  int null_fd;
  int log_fd;
  int channel_fd;
  char* const* arguments;
  char* const* environment;
  Sandbox* sandbox;  // nullptr: trusted.
  const SandboxLimits* limits;
  pid_t supervisor;
  SandboxOutcome outcome = {};
  const char* failed_step = nullptr;
  int error = 0;
};

// 0, 1, 2, 3 as promised, the program above them (closed by exec), no more.
bool ArrangeFds(const Launch& launch) {
  const int null_fd = ::fcntl(launch.null_fd, F_DUPFD, kFirstSafeFd);
  const int log_fd = ::fcntl(launch.log_fd, F_DUPFD, kFirstSafeFd);
  const int channel_fd = ::fcntl(launch.channel_fd, F_DUPFD, kFirstSafeFd);
  const int program_fd = ::fcntl(launch.program_fd, F_DUPFD, kFirstSafeFd);
  return null_fd >= 0 && log_fd >= 0 && channel_fd >= 0 && program_fd >= 0 &&
         ::dup2(null_fd, STDIN_FILENO) >= 0 &&
         ::dup2(log_fd, kLogPipeFd) >= 0 &&
         ::dup2(log_fd, STDERR_FILENO) >= 0 &&
         ::dup2(channel_fd, kChannelFd) >= 0 &&
         ::dup3(program_fd, kProgramFd, O_CLOEXEC) >= 0 &&
         ::syscall(SYS_close_range, kProgramFd + 1, ~0u, 0) == 0;
}

int RunChild(void* argument) {
  Launch& launch = *static_cast<Launch*>(argument);
  // Its own session, so that a signal to its process group reaches whatever it
  // may have started, and no terminal reaches it.
  ::setsid();
  if (launch.sandbox == nullptr) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != launch.supervisor) ::_exit(0);
  }
  // The room's descriptors must still be there to enter it, and the limit of
  // descriptors must not yet be: hence two steps around it.
  if (launch.sandbox != nullptr) {
    launch.sandbox->EnterRoom(*launch.limits, &launch.outcome);
  }
  if (!ArrangeFds(launch)) {
    launch.failed_step = "arrange the descriptors";
    launch.error = errno;
    ::_exit(127);
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (launch.sandbox != nullptr) {
    launch.sandbox->Confine(*launch.limits, launch.supervisor, &launch.outcome);
  }
  ::syscall(SYS_execveat, kProgramFd, "", launch.arguments, launch.environment,
            AT_EMPTY_PATH);
  launch.failed_step = "execute";
  launch.error = errno;
  ::_exit(127);
}

}  // namespace

absl::StatusOr<Spawned> Spawn(const SpawnRequest& request, Sandbox& sandbox) {
  RETURN_IF_ERROR(request.program->CheckUnchanged());
  ASSIGN_OR_RETURN(auto ends, SeqpacketChannel::CreatePair());
  int log[2];
  if (::pipe2(log, O_CLOEXEC) != 0) return ErrnoStatus("create a log pipe");
  UniqueFd log_read(log[0]);
  UniqueFd log_write(log[1]);
  UniqueFd null_fd(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null_fd.valid()) return ErrnoStatus("open /dev/null");

  std::vector<char*> arguments = {
      const_cast<char*>(request.program->path().c_str())};
  for (const std::string& argument : request.arguments) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  char* no_environment[] = {nullptr};

  SandboxLimits limits = request.limits;
  limits.dynamic_program = request.program->dynamic();
  Launch launch = {};
  launch.program_fd = request.program->fd();
  launch.null_fd = null_fd.get();
  launch.log_fd = log_write.get();
  launch.channel_fd = ends.second.fd();
  launch.arguments = arguments.data();
  launch.environment = request.trusted ? environ : no_environment;
  launch.sandbox = request.trusted ? nullptr : &sandbox;
  launch.limits = &limits;
  launch.supervisor = ::getpid();

  // The new process runs on memory shared with this one, which sleeps until
  // the program runs (as posix_spawn does): nothing is copied, and failures
  // come back in `launch`.
  alignas(16) static char stack[kStackBytes];
  int pidfd = -1;
  const pid_t pid =
      ::clone(RunChild, stack + sizeof(stack),
              CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &launch, &pidfd);
  if (pid < 0) return ErrnoStatus("create a process");
  UniqueFd owned_pidfd(pidfd);
  // The change of user in the child marked the shared memory as secret; what
  // is left of it is the supervisor's own.
  ::prctl(PR_SET_DUMPABLE, 1);
  if (launch.failed_step != nullptr) {
    ::waitpid(pid, nullptr, 0);
    return ErrnoStatus(
        absl::StrCat(launch.failed_step, " for ", request.program->path()),
        launch.error);
  }
  Spawned spawned;
  spawned.pid = pid;
  spawned.pidfd = std::move(owned_pidfd);
  spawned.channel = std::move(ends.first);
  spawned.log = std::move(log_read);
  spawned.not_applied = NotApplied(launch.outcome);
  return spawned;
}

}  // namespace bulkhead::supervisor
