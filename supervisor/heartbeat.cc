#include "supervisor/heartbeat.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace bulkhead::supervisor {
namespace {

// Resting processes are asked in so many groups.
constexpr uint32_t kPhases = 10;

uint64_t Nanoseconds(std::chrono::nanoseconds duration) {
  return duration.count();
}

}  // namespace

Heartbeat::Limits Heartbeat::LimitsOf(const ProcessSpec::Heartbeat& spec) {
  Limits limits;
  if (spec.interval_ms() != 0) {
    limits.interval = std::chrono::milliseconds(spec.interval_ms());
  }
  if (spec.misses() != 0) limits.misses = spec.misses();
  return limits;
}

Heartbeat::Heartbeat(const Limits& limits, uint64_t now_ns, uint32_t phase)
    : limits_(limits),
      phase_(phase % kPhases),
      last_work_ns_(now_ns),
      last_tick_ns_(now_ns),
      last_pong_ns_(now_ns) {
  SetDue(now_ns, false);
}

// The first point of the grid that is not too soon after `from_ns`.
void Heartbeat::SetDue(uint64_t from_ns, bool resting) {
  const uint64_t interval_ns = Nanoseconds(limits_.interval);
  uint64_t pace_ns = interval_ns;
  uint64_t offset_ns = 0;
  if (resting) {
    pace_ns = std::max(interval_ns, std::min(kRestIntervals * interval_ns,
                                             Nanoseconds(kMostRest)));
    offset_ns = pace_ns / kPhases * phase_ / interval_ns * interval_ns;
  }
  const uint64_t earliest_ns = from_ns + pace_ns / 2;
  due_ns_ = earliest_ns + pace_ns - 1;
  due_ns_ -= (due_ns_ - offset_ns) % pace_ns;
}

bool Heartbeat::Forgives(bool starved) {
  if (!starved || forgiven_ >= kStarvedPatience * limits_.misses) return false;
  ++forgiven_;
  return true;
}

std::optional<std::string> Heartbeat::Tick(uint64_t now_ns, bool starved) {
  // When this tick itself is very late, the supervisor was kept from running;
  // the process may have been too, and its answer may wait unread.
  const bool late = now_ns > due_ns_ + Nanoseconds(limits_.interval);
  last_tick_ns_ = now_ns;
  if (waits_for_answer() && !late && !Forgives(starved) &&
      ++missed_ >= limits_.misses) {
    return absl::StrCat("hung: no heartbeat for ",
                        (now_ns - last_pong_ns_) / 1'000'000, " ms");
  }
  ++pings_;
  SetDue(now_ns, false);
  return std::nullopt;
}

std::optional<std::string> Heartbeat::HandlePong(const FromChild::Pong& pong,
                                                 uint64_t now_ns,
                                                 bool starved) {
  // An answer to no question is no sign of life of the main loop.
  if (pong.number() <= answered_ || pong.number() > pings_) return std::nullopt;
  answered_ = pong.number();
  missed_ = 0;
  last_pong_ns_ = now_ns;
  const bool moved = pong.work_done() != work_done_;
  work_done_ = pong.work_done();
  if (moved || pong.work_waiting()) last_work_ns_ = now_ns;
  rests_ = now_ns - last_work_ns_ >= Nanoseconds(kQuiet);
  if (rests_ && !waits_for_answer()) SetDue(last_tick_ns_, true);
  if (!pong.work_waiting()) {
    done_while_waiting_.reset();
    forgiven_ = 0;
    return std::nullopt;
  }
  if (done_while_waiting_ != pong.work_done()) {
    done_while_waiting_ = pong.work_done();
    stalled_ = 0;
    forgiven_ = 0;
    stalled_since_ns_ = now_ns;
    return std::nullopt;
  }
  if (Forgives(starved) || ++stalled_ < limits_.misses) return std::nullopt;
  return absl::StrCat("hung: work waits, none done in ",
                      (now_ns - stalled_since_ns_) / 1'000'000, " ms");
}

void Heartbeat::Attend(uint64_t now_ns) {
  const bool rested = std::exchange(rests_, false);
  last_work_ns_ = now_ns;
  if (rested && !waits_for_answer()) due_ns_ = now_ns;
}

}  // namespace bulkhead::supervisor
