// Finds the driver that is alive and does nothing for its session.
#ifndef BULKHEAD_PLATFORM_SERVICE_INSTANCES_PROGRESS_CHECK_H_
#define BULKHEAD_PLATFORM_SERVICE_INSTANCES_PROGRESS_CHECK_H_

#include <cstdint>

#include "platform_service/sessions/session.h"

namespace bulkhead::platform {

// Looks at a session's shared positions from outside, as the heartbeat's own
// report of progress may be a lie. Pure: the caller brings the observations, a
// fixed time apart.
//
// The client may be the hostile one: it can publish work and never ring the
// doorbell. So the provider is woken (kNudge) before it is blamed, and a
// provider that finds nonsense says SessionBroken.
class ProgressCheck {
 public:
  enum class Verdict : uint8_t { kFine, kNudge, kStuck };
  // Looks without an acknowledgement, the nudged ones, before the verdict.
  static constexpr int kPatience = 4;

  // Looks in a row that saw nothing move, nothing wait, and a provider that
  // asks to be woken: from then on a bell tells more than looking does.
  static constexpr int kQuietLooks = 1;

  Verdict Look(const Session::Positions& positions, bool link_up);
  bool quiet() const { return quiet_ >= kQuietLooks; }
  // Nothing has moved since the last look.
  bool StillQuiet(const Session::Positions& positions) const {
    return quiet() && positions == last_;
  }
  void Restart() { stalled_ = quiet_ = 0; }

 private:
  Session::Positions last_;
  int stalled_ = 0;
  int quiet_ = 0;
};

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_INSTANCES_PROGRESS_CHECK_H_
