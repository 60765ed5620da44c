#include "supervisor/child.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/log.h"
#include "supervisor/api/child.pb.h"
#include "supervisor/refused_call.h"

namespace bulkhead::supervisor {
namespace {

bool IsSeqpacketSocket(int fd) {
  int type = 0;
  socklen_t length = sizeof(type);
  return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 &&
         type == SOCK_SEQPACKET;
}

// Second stage: the supervisor's allow-list had to leave execveat open so that
// this program could be started. From here on nothing may be executed, and the
// report of refused calls stays as it was installed.
absl::Status ForbidExec() {
  constexpr uint32_t kKill = SECCOMP_RET_KILL_PROCESS;
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, kKill),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_execve, 5, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_execveat, 4, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigaction, 0, 2),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[0])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SIGSYS, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, kKill),
  };
  const sock_fprog program = {sizeof(code) / sizeof(code[0]), code};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return ErrnoStatus("set no_new_privs");
  }
  if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    return ErrnoStatus("install the seccomp filter against exec");
  }
  return absl::OkStatus();
}

}  // namespace

void RequireParentChannel(absl::string_view program) {
  if (IsSeqpacketSocket(kParentChannelFd)) return;
  std::fprintf(stderr,
               "%.*s: this program is started by the Bulkhead supervisor, "
               "which hands it a channel on descriptor 3; there is none. "
               "Use `bulkhead up SCENARIO`.\n",
               static_cast<int>(program.size()), program.data());
  std::exit(2);
}

absl::StatusOr<std::unique_ptr<Child>> Child::Create(EventLoop& loop,
                                                     Handlers handlers) {
  if (!IsSeqpacketSocket(kParentChannelFd)) {
    return absl::FailedPreconditionError(
        "use the parent channel: descriptor 3 is not a seqpacket socket; this "
        "program is started by the Bulkhead supervisor");
  }
  ::fcntl(kParentChannelFd, F_SETFD, FD_CLOEXEC);
  std::unique_ptr<Child> child(new Child(
      loop, std::move(handlers), SeqpacketChannel(UniqueFd(kParentChannelFd))));

  FromChild message;
  FromChild::Ready* ready = message.mutable_ready();
  ReportRefusedCalls();
  if (absl::Status status = ForbidExec(); !status.ok()) {
    ready->add_not_applied(
        absl::StrCat("no exec after start: ", status.message()));
  }
  Child* self = child.get();
  ASSIGN_OR_RETURN(child->watch_,
                   loop.Watch(child->channel_.fd(), EPOLLIN,
                              [self](uint32_t) { self->HandleReadable(); }));
  RETURN_IF_ERROR(child->channel_.Send(message));
  return child;
}

Child::Child(EventLoop& loop, Handlers handlers, SeqpacketChannel channel)
    : loop_(loop),
      handlers_(std::move(handlers)),
      channel_(std::move(channel)) {}

Child::~Child() { loop_.Unwatch(watch_); }

void Child::SayStarted() {
  FromChild message;
  message.mutable_started();
  Send(message);
}

void Child::Fail(absl::string_view reason) {
  LogError(reason);
  FromChild message;
  message.mutable_failed()->set_reason(std::string(reason));
  // Whether it arrives or not, the exit status says the same.
  (void)channel_.Send(message);
  ::_exit(1);
}

void Child::Send(const google::protobuf::MessageLite& message) {
  const absl::Status status = channel_.Send(message);
  if (absl::IsUnavailable(status)) ::_exit(0);
  // A supervisor that does not read has stopped watching too. Losing a Pong
  // then is what the heartbeat is there for.
  if (!status.ok()) LogWarning(status.message());
}

// One message per turn of the loop: the watch is level-triggered, and a flood
// must not keep the process from its work.
void Child::HandleReadable() {
  ToChild message;
  std::vector<UniqueFd> fds;
  const absl::StatusOr<bool> received = channel_.Receive(&message, &fds);
  if (absl::IsUnavailable(received.status())) ::_exit(0);
  if (!received.ok()) Fail(received.status().message());
  if (!*received) return;

  switch (message.message_case()) {
    case ToChild::kPing: {
      const Progress progress =
          handlers_.progress ? handlers_.progress() : Progress{};
      FromChild answer;
      FromChild::Pong* pong = answer.mutable_pong();
      pong->set_number(message.ping().number());
      pong->set_work_done(progress.work_done);
      pong->set_work_waiting(progress.work_waiting);
      Send(answer);
      return;
    }
    case ToChild::kStart: {
      ToChild::Start& start = *message.mutable_start();
      SetLogName(start.name());
      StartOrder order;
      order.name = std::move(*start.mutable_name());
      order.generation = start.generation();
      order.payload = std::move(*start.mutable_payload());
      order.fds = std::move(fds);
      if (handlers_.start) handlers_.start(std::move(order));
      return;
    }
    case ToChild::kStop:
      if (!handlers_.stop) ::_exit(0);
      handlers_.stop();
      return;
    case ToChild::MESSAGE_NOT_SET:
      Fail("the supervisor sent an empty message: it is of another version");
  }
}

}  // namespace bulkhead::supervisor
