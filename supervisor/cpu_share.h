// Whether a process that does not answer was given a CPU to answer with.
#ifndef BULKHEAD_SUPERVISOR_CPU_SHARE_H_
#define BULKHEAD_SUPERVISOR_CPU_SHARE_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"

namespace bulkhead::supervisor {

// What the kernel says of a process of one thread: /proc/PID/schedstat and
// /proc/PID/stat.
struct CpuUse {
  uint64_t run_ns = 0;    // On a CPU.
  uint64_t wait_ns = 0;   // Able to run, without a CPU; counted at its end.
  bool runnable = false;  // Now.
};

// Nothing when the text is not what a kernel writes.
std::optional<CpuUse> ParseCpuUse(absl::string_view schedstat,
                                  absl::string_view stat);
// Nothing when the process is gone, or the kernel counts nothing.
std::optional<CpuUse> ReadCpuUse(pid_t pid);

// True: for most of the `elapsed_ns` between the two the process wanted to run
// and did not. One that was stopped, slept, or ran has nobody else to blame.
bool WasStarved(const CpuUse& before, const CpuUse& after, uint64_t elapsed_ns);

// The total of the line "some" of /proc/pressure/cpu: for how long, since the
// system started, anybody waited for a CPU.
std::optional<uint64_t> ParsePressureNs(absl::string_view text);

// The use of one process from question to question.
class CpuShare {
 public:
  // Whether it was starved since the last call; no for the first one.
  bool StarvedSinceLast(pid_t pid, uint64_t now_ns);
  // The same, or whether others were, for whom it may be waiting: most of the
  // time since the last call somebody on this machine waited for a CPU.
  bool AnyStarvedSinceLast(pid_t pid, uint64_t now_ns);
  void Forget();

 private:
  std::optional<CpuUse> last_;
  std::optional<uint64_t> last_pressure_ns_;
  uint64_t last_ns_ = 0;
};

}  // namespace bulkhead::supervisor

#endif  // BULKHEAD_SUPERVISOR_CPU_SHARE_H_
