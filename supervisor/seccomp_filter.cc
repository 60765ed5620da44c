#include "supervisor/seccomp_filter.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <map>
#include <span>

namespace bulkhead::supervisor {
namespace {

constexpr uint32_t kAllow = SECCOMP_RET_ALLOW;
// As a signal, not as an error: what a driver has no use for is a sign of a bug
// or a break-in, and the cause must be plain. The child library's handler names
// the call.
constexpr uint32_t kRefuse = SECCOMP_RET_TRAP;
constexpr uint32_t kNotThere = SECCOMP_RET_ERRNO | ENOENT;

// Harmless whatever their arguments: they act on descriptors the process was
// handed, on its own memory, or on itself.
//
// Of a VFIO device (S3) that leaves its holder what it needs, BARs to map. What
// is not here would do more: ioctl resets it and turns its interrupts
// elsewhere, and writes at an offset (pwrite64 and its kin) reach config space.
// A plain write starts at BAR 0 and cannot be moved: such a file has no lseek.
constexpr int kAllowedCalls[] = {
    // What the loop and its channels do all the time.
    SYS_epoll_wait, SYS_epoll_pwait, SYS_epoll_pwait2, SYS_read, SYS_write,
    SYS_recvmsg, SYS_sendmsg, SYS_readv, SYS_writev, SYS_timerfd_settime,
    SYS_recvfrom, SYS_sendto, SYS_recvmmsg, SYS_sendmmsg, SYS_poll, SYS_ppoll,
    SYS_pread64,
    // Descriptors.
    SYS_epoll_create1, SYS_epoll_ctl, SYS_eventfd2, SYS_timerfd_create,
    SYS_timerfd_gettime, SYS_accept, SYS_accept4, SYS_shutdown, SYS_getsockopt,
    SYS_setsockopt, SYS_getsockname, SYS_getpeername, SYS_close,
    SYS_close_range, SYS_dup, SYS_dup2, SYS_dup3, SYS_lseek, SYS_fstat,
    SYS_fsync, SYS_fdatasync, SYS_ftruncate,
    // Memory.
    SYS_brk, SYS_munmap, SYS_mremap, SYS_madvise, SYS_mlock, SYS_munlock,
    // Time and itself.
    SYS_clock_gettime, SYS_clock_getres, SYS_gettimeofday, SYS_time,
    SYS_clock_nanosleep, SYS_nanosleep, SYS_getpid, SYS_getppid, SYS_gettid,
    SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_uname, SYS_sysinfo,
    SYS_getcpu, SYS_sched_yield, SYS_sched_getaffinity, SYS_getrlimit,
    SYS_getrusage, SYS_getrandom,
    // Signals to itself come with rt_sigaction; the C library's start and end.
    SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_sigaltstack,
    SYS_restart_syscall, SYS_futex, SYS_membarrier, SYS_set_robust_list,
    SYS_rseq, SYS_set_tid_address, SYS_arch_prctl, SYS_seccomp, SYS_exit,
    SYS_exit_group,
    // How the program itself is started.
    SYS_execveat};

// Static C libraries look for their own path at the start; "there is none" is
// all they get.
constexpr int kAbsentCalls[] = {SYS_readlink, SYS_readlinkat, SYS_access,
                                SYS_faccessat};

// F_SETOWN, F_SETOWN_EX and F_SETSIG are not here: with them a descriptor could
// be made to send any signal to any process of the same user.
constexpr uint32_t kFcntlCommands[] = {F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD,
                                       F_SETFD, F_GETFL,         F_GET_SEALS};
constexpr uint32_t kIoctlCommands[] = {TCGETS, FIONREAD};
constexpr uint32_t kPrctlOptions[] = {PR_SET_NAME,         PR_SET_TIMERSLACK,
                                      PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP,
                                      PR_SET_DUMPABLE,     PR_SET_VMA};

class Assembler {
 public:
  explicit Assembler(std::vector<sock_filter>* code) : code_(*code) {}

  size_t Add(uint16_t operation, uint32_t k, uint8_t jt = 0, uint8_t jf = 0) {
    code_.push_back({operation, jt, jf, k});
    return code_.size() - 1;
  }
  void Load(size_t offset) { Add(BPF_LD | BPF_W | BPF_ABS, offset); }
  // The low half of an argument (x86-64 is little-endian).
  void LoadArgument(int index) {
    Load(offsetof(seccomp_data, args) + index * sizeof(uint64_t));
  }
  void LoadArgumentHigh(int index) {
    Load(offsetof(seccomp_data, args) + index * sizeof(uint64_t) +
         sizeof(uint32_t));
  }
  void Return(uint32_t action) { Add(BPF_RET | BPF_K, action); }
  // Returns `action` if the loaded value is `k`.
  size_t ReturnIf(uint32_t k, uint32_t action) {
    const size_t at = Add(BPF_JMP | BPF_JEQ | BPF_K, k, 0, 1);
    Return(action);
    return at;
  }
  // Returns `action` if the loaded value has any bit of `mask`.
  void ReturnIfAny(uint32_t mask, uint32_t action) {
    Add(BPF_JMP | BPF_JSET | BPF_K, mask, 0, 1);
    Return(action);
  }
  void Mask(uint32_t mask) { Add(BPF_ALU | BPF_AND | BPF_K, mask); }
  template <size_t N>
  void AllowIfArgument(int index, const uint32_t (&values)[N]) {
    LoadArgument(index);
    for (const uint32_t value : values) ReturnIf(value, kAllow);
    Return(kRefuse);
  }
  // The jump at `at`, when its condition holds, comes here.
  void JumpHere(size_t at) {
    const size_t distance = code_.size() - at - 1;
    // The widest jump of BPF; the table above would have grown threefold.
    if (distance > 255) std::abort();
    code_[at].jt = static_cast<uint8_t>(distance);
  }

 private:
  std::vector<sock_filter>& code_;
};

// Code that ends in a return.
using Rule = std::function<void(Assembler&)>;

Rule Always(uint32_t action) {
  return [action](Assembler& a) { a.Return(action); };
}

void MmapRule(Assembler& a) {
  a.LoadArgument(2);
  a.ReturnIfAny(PROT_EXEC, kRefuse);
  a.LoadArgument(3);
  a.Mask(MAP_SHARED | MAP_ANONYMOUS);
  a.ReturnIf(MAP_SHARED | MAP_ANONYMOUS, kRefuse);
  a.Return(kAllow);
}

void MprotectRule(Assembler& a) {
  a.LoadArgument(2);
  a.ReturnIfAny(PROT_EXEC, kRefuse);
  a.Return(kAllow);
}

// An open file is shared with whoever handed it over: made blocking, a full
// eventfd would hold up the model that signals it. FIONBIO does the same, with
// a pointer that cannot be looked at.
void FcntlRule(Assembler& a) {
  a.LoadArgument(1);
  for (const uint32_t command : kFcntlCommands) a.ReturnIf(command, kAllow);
  a.Add(BPF_JMP | BPF_JEQ | BPF_K, F_SETFL, 1, 0);
  a.Return(kRefuse);
  a.LoadArgument(2);
  a.ReturnIfAny(O_NONBLOCK, kAllow);
  a.Return(kRefuse);
}

void IoctlRule(Assembler& a) {
  a.LoadArgument(1);
  for (const uint32_t command : kIoctlCommands) a.ReturnIf(command, kAllow);
  a.Return(kRefuse);
}

// Limits may be read, not set.
void PrlimitRule(Assembler& a) {
  a.LoadArgumentHigh(2);
  a.Add(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0);
  a.Return(kRefuse);
  a.LoadArgument(2);
  a.ReturnIf(0, kAllow);
  a.Return(kRefuse);
}

// fstat(fd) in the C library's words; paths are not there.
void StatRule(Assembler& a) {
  a.LoadArgument(3);
  a.ReturnIf(AT_EMPTY_PATH, kAllow);
  a.Return(kNotThere);
}

// pthread_create's clone: all is shared, and it is the same process.
void CloneRule(Assembler& a) {
  a.LoadArgumentHigh(0);
  a.Add(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0);
  a.Return(kRefuse);
  a.LoadArgument(0);
  a.ReturnIf(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | CLONE_SIGHAND |
                 CLONE_THREAD | CLONE_SETTLS | CLONE_PARENT_SETTID |
                 CLONE_CHILD_CLEARTID,
             kAllow);
  a.Return(kRefuse);
}

// From this call number on, up to the next range.
struct Range {
  uint32_t first;
  const Rule* rule;
};

// A binary search for the range of the loaded number. The kernel runs the
// program once for each system call there is when it is installed: a list in
// place of the tree costs every start of a process 0.2 ms.
void Search(Assembler& a, std::span<const Range> ranges) {
  if (ranges.size() == 1) return (*ranges[0].rule)(a);
  const size_t middle = ranges.size() / 2;
  const size_t jump = a.Add(BPF_JMP | BPF_JGE | BPF_K, ranges[middle].first);
  Search(a, ranges.first(middle));
  a.JumpHere(jump);
  Search(a, ranges.subspan(middle));
}

// Neighbours with the same rule become one range.
std::vector<Range> RangesOf(const std::map<int, const Rule*>& rules,
                            const Rule* otherwise) {
  std::vector<Range> ranges = {{0, otherwise}};
  const auto add = [&](uint32_t first, const Rule* rule) {
    if (ranges.back().first == first) ranges.pop_back();
    if (ranges.empty() || ranges.back().rule != rule) {
      ranges.push_back({first, rule});
    }
  };
  for (const auto& [number, rule] : rules) {
    add(number, rule);
    add(number + 1, otherwise);
  }
  return ranges;
}

}  // namespace

SeccompFilter::SeccompFilter(Threads threads) {
  const Rule refuse = Always(kRefuse);
  const Rule allow = Always(kAllow);
  const Rule absent = Always(kNotThere);
  const Rule tgkill = [this](Assembler& a) {
    a.LoadArgument(0);
    own_pid_at_ = a.ReturnIf(0, kAllow);
    a.Return(kRefuse);
  };
  const Rule fcntl = FcntlRule;
  const Rule prctl = [](Assembler& a) { a.AllowIfArgument(0, kPrctlOptions); };
  const Rule mmap = MmapRule;
  const Rule mprotect = MprotectRule;
  const Rule ioctl = IoctlRule;
  const Rule prlimit = PrlimitRule;
  const Rule stat = StatRule;
  const Rule clone = CloneRule;
  // Its flags lie in memory, where no filter sees them. The C library then does
  // it by clone.
  const Rule clone3 = Always(SECCOMP_RET_ERRNO | ENOSYS);

  std::map<int, const Rule*> rules = {
      {SYS_mmap, &mmap},       {SYS_mprotect, &mprotect},
      {SYS_fcntl, &fcntl},     {SYS_ioctl, &ioctl},
      {SYS_prctl, &prctl},     {SYS_prlimit64, &prlimit},
      {SYS_newfstatat, &stat}, {SYS_tgkill, &tgkill}};
  if (threads == Threads::kAllowed) {
    rules[SYS_clone] = &clone;
    rules[SYS_clone3] = &clone3;
  }
  for (const int call : kAllowedCalls) rules[call] = &allow;
  for (const int call : kAbsentCalls) rules[call] = &absent;

  Assembler a(&code_);
  a.Load(offsetof(seccomp_data, arch));
  a.Add(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
  a.Return(SECCOMP_RET_KILL_PROCESS);
  a.Load(offsetof(seccomp_data, nr));
  Search(a, RangesOf(rules, &refuse));
}

}  // namespace bulkhead::supervisor
