// When a process that died is started again, and when it no longer is.
#ifndef BULKHEAD_SUPERVISOR_RESTART_POLICY_H_
#define BULKHEAD_SUPERVISOR_RESTART_POLICY_H_

#include <chrono>
#include <cstdint>

#include "supervisor/api/supervisor.pb.h"

namespace bulkhead::supervisor {

// Guarantees: the first restart is immediate, the second waits backoff_first,
// each further one twice as long up to backoff_max. The failure number
// park_after parks. A run of stable_after makes the next failure the first.
// Pure: no clock of its own.
class RestartPolicy {
 public:
  struct Limits {
    std::chrono::milliseconds backoff_first{10};
    std::chrono::milliseconds backoff_max{5000};
    uint32_t park_after = 10;  // 0: never.
    std::chrono::milliseconds stable_after{10'000};
  };
  struct Decision {
    bool park = false;
    std::chrono::milliseconds backoff{0};
  };

  // Zero fields of `spec` take the defaults of Limits.
  static Limits LimitsOf(const ProcessSpec::Restart& spec);

  explicit RestartPolicy(const Limits& limits) : limits_(limits) {}

  // One more failure, after `ran` between Started and the death (0: it never
  // came so far).
  Decision AfterFailure(std::chrono::nanoseconds ran);
  // An operator asked for a fresh start.
  void Reset() { failures_in_a_row_ = 0; }

  uint32_t failures_in_a_row() const { return failures_in_a_row_; }

 private:
  Limits limits_;
  uint32_t failures_in_a_row_ = 0;
};

}  // namespace bulkhead::supervisor

#endif  // BULKHEAD_SUPERVISOR_RESTART_POLICY_H_
