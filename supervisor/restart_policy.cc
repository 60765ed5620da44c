#include "supervisor/restart_policy.h"

#include <algorithm>

namespace bulkhead::supervisor {

using std::chrono::milliseconds;

RestartPolicy::Limits RestartPolicy::LimitsOf(
    const ProcessSpec::Restart& spec) {
  Limits limits;
  if (spec.backoff_first_ms() != 0) {
    limits.backoff_first = milliseconds(spec.backoff_first_ms());
  }
  if (spec.backoff_max_ms() != 0) {
    limits.backoff_max = milliseconds(spec.backoff_max_ms());
  }
  if (spec.park_after() != 0) limits.park_after = spec.park_after();
  if (spec.stable_after_ms() != 0) {
    limits.stable_after = milliseconds(spec.stable_after_ms());
  }
  return limits;
}

RestartPolicy::Decision RestartPolicy::AfterFailure(
    std::chrono::nanoseconds ran) {
  if (ran >= limits_.stable_after) failures_in_a_row_ = 0;
  ++failures_in_a_row_;
  Decision decision;
  if (limits_.park_after != 0 && failures_in_a_row_ >= limits_.park_after) {
    decision.park = true;
    return decision;
  }
  if (failures_in_a_row_ == 1) return decision;
  decision.backoff = std::min(limits_.backoff_first, limits_.backoff_max);
  // Stops at the cap, so that the doubling cannot overflow.
  for (uint32_t i = 2; i < failures_in_a_row_; ++i) {
    if (decision.backoff >= limits_.backoff_max) break;
    decision.backoff = std::min(2 * decision.backoff, limits_.backoff_max);
  }
  return decision;
}

}  // namespace bulkhead::supervisor
