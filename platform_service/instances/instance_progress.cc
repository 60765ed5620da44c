// Whether the instance's driver does anything for its session: looked at often
// while there is something to do, and next to never while there is not.
#include <chrono>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/log.h"
#include "platform_service/instances/instance.h"

namespace bulkhead::platform {
namespace {

using std::chrono::milliseconds;

// Between two looks while bells are listened to: for a driver that says that it
// sleeps, so that it is not looked at, and then takes that back.
constexpr milliseconds kRestInterval(10'000);

}  // namespace

// All instances look at the same times, so that they share wake-ups.
void Instance::LookLater(milliseconds interval) {
  loop_.Cancel(progress_timer_);
  const uint64_t interval_ns = std::chrono::nanoseconds(interval).count();
  const uint64_t now_ns = MonotonicNs();
  progress_timer_ =
      loop_.At(now_ns + interval_ns - now_ns % interval_ns, [this] {
        progress_timer_ = 0;
        CheckProgress();
      });
}

void Instance::RestartProgress() {
  for (ProgressCheck& lane : progress_) lane.Restart();
}

void Instance::WatchProgress() {
  if (progress_timer_ != 0 && !traffic_watch_.armed()) return;
  traffic_watch_.Disarm();
  RestartProgress();
  // First the one that the other may be waiting for.
  nic_.Attend();
  link_.Attend(spec_.name);
  LookLater(ProgressCheck::kInterval);
}

void Instance::StopProgress() {
  RestartProgress();
  traffic_watch_.Disarm();
  loop_.Cancel(std::exchange(progress_timer_, 0));
}

void Instance::CheckProgress() {
  if (session_ == nullptr || !session_offered_ || phase() != Phase::kAttached) {
    return StopProgress();
  }
  const policy::HeartbeatSpec& heartbeat = spec_.rule.heartbeat;
  const int patience = ProgressCheck::PatienceOf(
      milliseconds(heartbeat.interval_ms), heartbeat.misses);
  bool nudge = false, stuck = false, quiet = true;
  for (uint32_t lane = 0; lane < session_->lanes(); ++lane) {
    ProgressCheck& progress = progress_[lane];
    const auto verdict =
        progress.Look(session_->ReadPositions(lane), facts_.link_up, patience);
    nudge |= verdict == ProgressCheck::Verdict::kNudge;
    stuck |= verdict == ProgressCheck::Verdict::kStuck;
    quiet &= progress.quiet();
  }
  if (nudge) session_->NudgeProvider();
  if (stuck) {
    RestartProgress();
    quiet = false;
    Breach("no progress: frames wait and none is acknowledged");
  }
  if (!quiet) {
    traffic_watch_.Disarm();
    return LookLater(ProgressCheck::kInterval);
  }
  LookLater(Listen() ? kRestInterval : ProgressCheck::kInterval);
}

bool Instance::StillQuiet() const {
  for (uint32_t lane = 0; lane < session_->lanes(); ++lane) {
    if (!progress_[lane].StillQuiet(session_->ReadPositions(lane))) {
      return false;
    }
  }
  return true;
}

// Arm, re-check: false when something has moved in between.
bool Instance::Listen() {
  if (traffic_watch_.armed()) return true;
  std::vector<int> bells;
  for (uint32_t lane = 0; lane < session_->lanes(); ++lane) {
    bells.push_back(session_->client_bell(lane));
  }
  for (const UniqueFd& irq : irqs_) bells.push_back(irq.get());
  if (const absl::Status armed = traffic_watch_.Arm(bells); !armed.ok()) {
    LogWarning(absl::StrCat(spec_.name, ": ", armed.message()));
    return false;
  }
  if (StillQuiet()) return true;
  traffic_watch_.Disarm();
  return false;
}

}  // namespace bulkhead::platform
