// Finds the driver that is alive and does nothing for its session.
#ifndef BULKHEAD_PLATFORM_SERVICE_INSTANCES_PROGRESS_CHECK_H_
#define BULKHEAD_PLATFORM_SERVICE_INSTANCES_PROGRESS_CHECK_H_

#include <chrono>
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
  // Between two looks while there is something to do. Short of the time after
  // which the supervisor takes a driver to be idle (Heartbeat::kQuiet), so that
  // a bell is listened to by then.
  static constexpr std::chrono::milliseconds kInterval{250};
  // Looks without an acknowledgement, the nudged ones, before the verdict: a
  // second of them, or as long as a heartbeat may stay away, if that is longer.
  static constexpr int kLeastPatience = 4;
  static int PatienceOf(std::chrono::milliseconds heartbeat, uint32_t misses);

  // Looks in a row that saw nothing move, nothing wait, and a provider that
  // asks to be woken: from then on a bell tells more than looking does.
  static constexpr int kQuietLooks = 1;

  Verdict Look(const Session::Positions& positions, bool link_up,
               int patience = kLeastPatience);
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
