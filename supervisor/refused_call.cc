#include "supervisor/refused_call.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <iterator>

namespace bulkhead::supervisor {
namespace {

struct NamedCall {
  int number;
  const char* name;
};

// What broken or hostile programs try first; others are shown by number.
constexpr NamedCall kNamedCalls[] = {
    {SYS_open, "open"},
    {SYS_openat, "openat"},
    {SYS_openat2, "openat2"},
    {SYS_creat, "creat"},
    {SYS_unlink, "unlink"},
    {SYS_access, "access"},
    {SYS_stat, "stat"},
    {SYS_socket, "socket"},
    {SYS_socketpair, "socketpair"},
    {SYS_connect, "connect"},
    {SYS_bind, "bind"},
    {SYS_listen, "listen"},
    {SYS_fork, "fork"},
    {SYS_vfork, "vfork"},
    {SYS_clone, "clone"},
    {SYS_clone3, "clone3"},
    {SYS_execve, "execve"},
    {SYS_execveat, "execveat"},
    {SYS_ptrace, "ptrace"},
    {SYS_process_vm_readv, "process_vm_readv"},
    {SYS_process_vm_writev, "process_vm_writev"},
    {SYS_kill, "kill"},
    {SYS_tgkill, "tgkill"},
    {SYS_mount, "mount"},
    {SYS_umount2, "umount2"},
    {SYS_unshare, "unshare"},
    {SYS_setns, "setns"},
    {SYS_bpf, "bpf"},
    {SYS_keyctl, "keyctl"},
    {SYS_perf_event_open, "perf_event_open"},
    {SYS_io_uring_setup, "io_uring_setup"},
    {SYS_ioctl, "ioctl"},
    {SYS_fcntl, "fcntl"},
    {SYS_prctl, "prctl"},
    {SYS_mmap, "mmap"},
    {SYS_mprotect, "mprotect"},
    {SYS_memfd_create, "memfd_create"},
    {SYS_pipe2, "pipe2"},
    {SYS_sched_setaffinity, "sched_setaffinity"},
    {SYS_setrlimit, "setrlimit"},
    {SYS_prlimit64, "prlimit64"},
    {SYS_sched_setscheduler, "sched_setscheduler"},
};

// Collects one line without malloc or stdio: it runs in a signal handler.
class Line {
 public:
  void Append(const char* text) {
    while (*text != '\0' && used_ < sizeof(text_)) text_[used_++] = *text++;
  }
  void Append(int number) {
    char digits[12];
    char* at = std::end(digits);
    *--at = '\0';
    do {
      *--at = static_cast<char>('0' + number % 10);
      number /= 10;
    } while (number > 0);
    Append(at);
  }
  void Write() const {
    [[maybe_unused]] const ssize_t written =
        ::write(STDERR_FILENO, text_, used_);
  }

 private:
  char text_[160];
  size_t used_ = 0;
};

void HandleSigsys(int, siginfo_t* info, void*) {
  Line line;
  line.Append("the sandbox refused system call ");
  line.Append(info->si_syscall);
  if (const char* name = SystemCallName(info->si_syscall)) {
    line.Append(" (");
    line.Append(name);
    line.Append(")");
  }
  line.Append("; the process ends\n");
  line.Write();
  // SA_RESETHAND has put the default action back and SA_NODEFER leaves the
  // signal open, so that this ends the process.
  ::syscall(SYS_tgkill, ::getpid(), ::syscall(SYS_gettid), SIGSYS);
  ::_exit(128 + SIGSYS);
}

}  // namespace

const char* SystemCallName(int number) {
  for (const NamedCall& call : kNamedCalls) {
    if (call.number == number) return call.name;
  }
  return nullptr;
}

void ReportRefusedCalls() {
  struct sigaction action = {};
  action.sa_sigaction = HandleSigsys;
  action.sa_flags = SA_SIGINFO | static_cast<int>(SA_RESETHAND) | SA_NODEFER;
  ::sigaction(SIGSYS, &action, nullptr);
}

}  // namespace bulkhead::supervisor
