#include "platform_service/instances/progress_check.h"

#include <algorithm>

namespace bulkhead::platform {

int ProgressCheck::PatienceOf(std::chrono::milliseconds heartbeat,
                              uint32_t misses) {
  return static_cast<int>(
      std::max<int64_t>(kLeastPatience, heartbeat * misses / kInterval));
}

ProgressCheck::Verdict ProgressCheck::Look(const Session::Positions& positions,
                                           bool link_up, int patience) {
  const bool waits = positions.in_step && link_up &&
                     positions.tx_submitted != positions.tx_acknowledged;
  const bool acknowledged = positions.tx_acknowledged != last_.tx_acknowledged;
  const bool still = positions == last_ && positions.provider_sleeps && !waits;
  quiet_ = still ? quiet_ + 1 : 0;
  last_ = positions;
  if (!waits || acknowledged) {
    stalled_ = 0;
    return Verdict::kFine;
  }
  ++stalled_;
  return stalled_ > patience ? Verdict::kStuck : Verdict::kNudge;
}

}  // namespace bulkhead::platform
