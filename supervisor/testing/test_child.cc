// A supervised process for tests. What it does is said by the first word of its
// arguments, or else of its payload.
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/event_loop.h"
#include "base/log.h"
#include "supervisor/api/child.pb.h"
#include "supervisor/child.h"

extern char** environ;

namespace bulkhead::supervisor {
namespace {

struct State {
  EventLoop* loop = nullptr;
  Child* child = nullptr;
  bool ignore_stop = false;
  Progress progress;
  std::vector<UniqueFd> kept;
};

[[noreturn]] void Spin() {
  for (;;) asm volatile("");
}

void WriteText(const char* text) {
  [[maybe_unused]] const ssize_t written =
      ::write(STDERR_FILENO, text, std::strlen(text));
}

void FloodChannel() {
  SeqpacketChannel channel{UniqueFd(kParentChannelFd)};
  FromChild message;
  message.mutable_pong()->set_number(1);
  for (;;) (void)channel.Send(message);
}

// As much as one message holds, with what a terminal would obey in it.
std::string LongWords() {
  return absl::StrCat(
      "\x1b[31m\xc2\x9b",
      std::string(SeqpacketChannel::kMaxMessageBytes - 64, 'x'));
}

// Ready, said in so many words that what is told of it would not fit into a
// message any more.
void SayReadyAtLength() {
  SeqpacketChannel channel{UniqueFd(kParentChannelFd)};
  FromChild message;
  message.mutable_ready()->add_not_applied(LongWords());
  (void)channel.Send(message);
  ::poll(nullptr, 0, -1);  // pause(2) is refused.
}

void FloodLog() {
  const std::string line(1023, 'x');
  for (int i = 0; i < 4096; ++i) WriteText((line + "\n").c_str());
}

// One forbidden call each; the process must not survive it.
bool TryForbidden(const std::string& mode) {
  if (mode == "open") {
    (void)::open("/etc/passwd", O_RDONLY);
  } else if (mode == "socket") {
    (void)::socket(AF_INET, SOCK_STREAM, 0);
  } else if (mode == "fork") {
    (void)::fork();
  } else if (mode == "thread" || mode == "thread_and_fork") {
    pthread_t thread;
    const int error = ::pthread_create(
        &thread, nullptr, [](void*) -> void* { return nullptr; }, nullptr);
    if (error == 0) ::pthread_join(thread, nullptr);
    LogInfo(error == 0 ? "a thread ran" : "no thread");
    if (mode == "thread_and_fork") (void)::fork();
  } else if (mode == "exec") {
    char* arguments[] = {nullptr};
    ::execve("/bin/true", arguments, arguments);
  } else if (mode == "execveat") {
    char* arguments[] = {nullptr};
    ::syscall(SYS_execveat, 0, "", arguments, arguments, AT_EMPTY_PATH);
  } else if (mode == "ptrace") {
    ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
  } else if (mode == "kill") {
    ::kill(::getppid(), SIGKILL);
  } else if (mode == "tgkill") {
    ::syscall(SYS_tgkill, ::getppid(), ::getppid(), SIGKILL);
  } else if (mode == "setown") {
    ::fcntl(kParentChannelFd, F_SETOWN, ::getppid());
  } else if (mode == "blocking") {
    ::fcntl(kParentChannelFd, F_SETFL, 0);
  } else if (mode == "blocking_ioctl") {
    int off = 0;
    ::ioctl(kParentChannelFd, FIONBIO, &off);
  } else if (mode == "mount") {
    ::mount("none", "/", "tmpfs", 0, nullptr);
  } else if (mode == "bpf") {
    ::syscall(SYS_bpf, 0, nullptr, 0);
  } else if (mode == "keyctl") {
    ::syscall(SYS_keyctl, 0, 0, 0);
  } else if (mode == "unshare") {
    ::unshare(CLONE_NEWUSER);
  } else if (mode == "shared_memory") {
    ::mmap(nullptr, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  } else if (mode == "code") {
    ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
           -1, 0);
  } else if (mode == "pdeathsig") {
    ::syscall(SYS_prctl, 1 /* PR_SET_PDEATHSIG */, 0, 0, 0, 0);
  } else {
    return false;
  }
  LogError(absl::StrCat("survived: ", mode));
  return true;
}

void Misbehave(State& state, const std::string& mode) {
  if (mode == "exit0") ::_exit(0);
  if (mode == "exit3") ::_exit(3);
  if (mode == "abort") std::abort();
  if (mode == "fail") state.child->Fail("the test asked for it");
  if (mode == "fail_at_length") state.child->Fail(LongWords());
  if (mode == "spin") Spin();
  if (mode == "no_progress") state.progress = {7, true};
  if (mode == "ignore_stop") state.ignore_stop = true;
  if (mode == "flood") FloodChannel();
  if (mode == "flood_log") FloodLog();
  if (mode == "close_channel") ::close(kParentChannelFd);
  if (mode == "control_characters") WriteText("a\x1b[31mred\x07\nnext\n");
  if (mode == "leak_fds") {
    while (true) {
      UniqueFd fd(::dup(STDERR_FILENO));
      if (!fd.valid()) break;
      state.kept.push_back(std::move(fd));
    }
    LogInfo(absl::StrCat("leaked ", state.kept.size(), " descriptors"));
  }
  if (mode == "memory_bomb") {
    for (std::vector<char*> all;;) all.push_back(new char[1 << 20]());
  }
  if (mode == "environment") {
    int count = 0;
    while (environ[count] != nullptr) ++count;
    LogInfo(absl::StrCat("environment: ", count, " variables"));
  }
  if (mode == "write_fd" || mode == "flood_log") {
    for (const UniqueFd& fd : state.kept) {
      [[maybe_unused]] const ssize_t written = ::write(fd.get(), "here", 4);
    }
  }
  TryForbidden(mode);
}

int Main(int argc, char** argv) {
  RequireParentChannel("test_child");
  const std::string mode = argc > 1 ? argv[1] : "";
  if (mode == "never_ready") Spin();
  if (mode == "die_at_once") ::_exit(7);
  if (mode == "ready_at_length") SayReadyAtLength();
  auto loop = EventLoop::Create();
  if (!loop.ok()) return 1;
  State state;
  state.loop = loop->get();
  auto child = Child::Create(
      **loop,
      {[&state, mode](StartOrder order) {
         state.kept = std::move(order.fds);
         if (mode == "never_started") return;
         LogInfo(absl::StrCat("start ", order.name, " generation ",
                              order.generation, " payload ", order.payload));
         state.child->SayStarted();
         Misbehave(state, mode.empty() ? order.payload : mode);
       },
       [&state] {
         if (!state.ignore_stop) state.loop->Stop();
       },
       [&state] { return state.progress; }});
  if (!child.ok()) {
    LogError(child.status().message());
    return 1;
  }
  state.child = child->get();
  (*loop)->Run();
  return 0;
}

}  // namespace
}  // namespace bulkhead::supervisor

int main(int argc, char** argv) {
  return bulkhead::supervisor::Main(argc, argv);
}
