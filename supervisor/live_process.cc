#include "supervisor/live_process.h"

#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/errno_status.h"

namespace bulkhead::supervisor {

std::string DescribeExit(int wait_status) {
  if (WIFSIGNALED(wait_status)) {
    const int number = WTERMSIG(wait_status);
    return absl::StrCat("killed by signal ", number, " (", ::strsignal(number),
                        ")");
  }
  return absl::StrCat("exited with status ", WEXITSTATUS(wait_status));
}

absl::StatusOr<std::unique_ptr<LiveProcess>> LiveProcess::Spawn(
    EventLoop& loop, const SpawnRequest& request, Sandbox& sandbox,
    ChildLog* log, Handlers handlers) {
  ASSIGN_OR_RETURN(Spawned spawned, supervisor::Spawn(request, sandbox));
  // From here on the destructor cleans up.
  std::unique_ptr<LiveProcess> process(
      new LiveProcess(loop, std::move(spawned), std::move(handlers)));
  LiveProcess* self = process.get();
  ASSIGN_OR_RETURN(process->exit_watch_,
                   loop.Watch(process->spawned_.pidfd.get(), EPOLLIN,
                              [self](uint32_t) { self->HandleExit(); }));
  ASSIGN_OR_RETURN(
      process->channel_watch_,
      loop.Watch(process->channel().fd(), EPOLLIN, [self](uint32_t) {
        // A copy: the handler may destroy or re-target the object.
        const auto readable = self->handlers_.readable;
        readable();
      }));
  ASSIGN_OR_RETURN(
      process->log_pipe_,
      LogPipe::Create(loop, std::move(process->spawned_.log), log));
  return process;
}

LiveProcess::~LiveProcess() {
  if (exit_watch_ != 0) loop_.Unwatch(exit_watch_);
  IgnoreChannel();
  if (!reaped_) {
    Kill();
    Reap();
  }
}

void LiveProcess::Kill() {
  // The group is the process's own (setsid in spawn.cc); the pid is not reused
  // before Reap.
  ::kill(-spawned_.pid, SIGKILL);
  ::kill(spawned_.pid, SIGKILL);
}

absl::Status LiveProcess::Signal(int number) {
  if (::syscall(SYS_pidfd_send_signal, spawned_.pidfd.get(), number, nullptr,
                0) != 0) {
    return ErrnoStatus(absl::StrCat("send signal ", number));
  }
  return absl::OkStatus();
}

void LiveProcess::IgnoreChannel() {
  if (channel_watch_ != 0) {
    loop_.Unwatch(std::exchange(channel_watch_, 0));
  }
}

int LiveProcess::Reap() {
  int status = 0;
  while (::waitpid(spawned_.pid, &status, 0) < 0 && errno == EINTR) {
  }
  reaped_ = true;
  return status;
}

void LiveProcess::HandleExit() {
  const uint64_t noticed_ns = MonotonicNs();
  // What it may have started dies with it, before its pid is free again.
  ::kill(-spawned_.pid, SIGKILL);
  const int status = Reap();
  loop_.Unwatch(std::exchange(exit_watch_, 0));
  IgnoreChannel();
  // The handler may destroy this object, and with it the handlers.
  const auto exited = std::move(handlers_.exited);
  exited(status, noticed_ns);
}

}  // namespace bulkhead::supervisor
