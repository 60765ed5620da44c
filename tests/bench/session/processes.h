// Two pinned processes for a measurement.
#ifndef BULKHEAD_TESTS_BENCH_SESSION_PROCESSES_H_
#define BULKHEAD_TESTS_BENCH_SESSION_PROCESSES_H_

#include <sys/types.h>

#include <functional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace bulkhead::bench {

// Pins this process to processor `cpu`, if there is such a processor.
void PinTo(int cpu);

// A forked process that runs `body` on `cpu`; killed and reaped with its
// object. Also dies with its parent.
class ForkedProcess {
 public:
  static absl::StatusOr<ForkedProcess> Run(int cpu,
                                           const std::function<void()>& body);
  ForkedProcess(ForkedProcess&& other) noexcept;
  ForkedProcess& operator=(ForkedProcess&&) = delete;
  ~ForkedProcess();

 private:
  explicit ForkedProcess(pid_t pid) : pid_(pid) {}
  pid_t pid_ = -1;
};

}  // namespace bulkhead::bench

#endif  // BULKHEAD_TESTS_BENCH_SESSION_PROCESSES_H_
