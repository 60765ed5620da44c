// The system calls that a driver or a model may make, as a BPF program.
#ifndef BULKHEAD_SUPERVISOR_SECCOMP_FILTER_H_
#define BULKHEAD_SUPERVISOR_SECCOMP_FILTER_H_

#include <linux/filter.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace bulkhead::supervisor {

// An allow-list: everything else raises SIGSYS, which ends the process. It
// leaves execveat open, since it is installed before the program is started;
// the child library closes it (child.cc).
//
// A process can with it use the descriptors it was handed, map memory and wait.
// It cannot open, connect, execute, fork, start threads, make anonymous shared
// memory (which no rlimit counts), make code, or reach another process.
//
// With kAllowed it can start threads of itself, in the one way in which the C
// library does: clone with exactly those flags, so that neither a process nor a
// namespace comes of it. How many, no filter can count; a driver makes its
// threads before it listens to anybody, and then closes this door behind itself
// (nic_driver/framework/thread_confinement.h).
class SeccompFilter {
 public:
  enum class Threads : uint8_t { kNone, kAllowed };
  explicit SeccompFilter(Threads threads);

  // Fills in the process that may signal itself, as abort() does. To be called
  // in that process; touches memory only.
  void SetOwnPid(pid_t pid) { code_[own_pid_at_].k = pid; }
  sock_fprog program() {
    return {static_cast<unsigned short>(code_.size()), code_.data()};
  }

 private:
  std::vector<sock_filter> code_;
  size_t own_pid_at_ = 0;
};

}  // namespace bulkhead::supervisor

#endif  // BULKHEAD_SUPERVISOR_SECCOMP_FILTER_H_
