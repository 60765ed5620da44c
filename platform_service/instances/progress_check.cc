#include "platform_service/instances/progress_check.h"

namespace bulkhead::platform {

ProgressCheck::Verdict ProgressCheck::Look(const Session::Positions& positions,
                                           bool link_up) {
  const bool waits = positions.in_step && link_up &&
                     positions.tx_submitted != positions.tx_acknowledged;
  const bool moved = positions.tx_acknowledged != acknowledged_;
  acknowledged_ = positions.tx_acknowledged;
  if (!waits || moved) {
    stalled_ = 0;
    return Verdict::kFine;
  }
  ++stalled_;
  return stalled_ > kPatience ? Verdict::kStuck : Verdict::kNudge;
}

}  // namespace bulkhead::platform
