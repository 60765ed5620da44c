#include "platform_service/instances/progress_check.h"

namespace bulkhead::platform {

ProgressCheck::Verdict ProgressCheck::Look(const Session::Positions& positions,
                                           bool link_up) {
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
  return stalled_ > kPatience ? Verdict::kStuck : Verdict::kNudge;
}

}  // namespace bulkhead::platform
