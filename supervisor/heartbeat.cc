#include "supervisor/heartbeat.h"

#include "absl/strings/str_cat.h"

namespace bulkhead::supervisor {

Heartbeat::Limits Heartbeat::LimitsOf(const ProcessSpec::Heartbeat& spec) {
  Limits limits;
  if (spec.interval_ms() != 0) {
    limits.interval = std::chrono::milliseconds(spec.interval_ms());
  }
  if (spec.misses() != 0) limits.misses = spec.misses();
  return limits;
}

std::optional<std::string> Heartbeat::Tick(uint64_t now_ns) {
  const uint64_t interval_ns =
      std::chrono::nanoseconds(limits_.interval).count();
  // When this tick itself is very late, the supervisor was kept from running;
  // the process may have been too, and its answer may wait unread.
  const bool late = now_ns - last_tick_ns_ > 2 * interval_ns;
  last_tick_ns_ = now_ns;
  if (answered_ < pings_ && !late && ++missed_ >= limits_.misses) {
    return absl::StrCat("hung: no heartbeat for ",
                        (now_ns - last_pong_ns_) / 1'000'000, " ms");
  }
  ++pings_;
  return std::nullopt;
}

std::optional<std::string> Heartbeat::HandlePong(const FromChild::Pong& pong,
                                                 uint64_t now_ns) {
  // An answer to no question is no sign of life of the main loop.
  if (pong.number() <= answered_ || pong.number() > pings_) return std::nullopt;
  answered_ = pong.number();
  missed_ = 0;
  last_pong_ns_ = now_ns;
  if (!pong.work_waiting()) {
    done_while_waiting_.reset();
    return std::nullopt;
  }
  if (done_while_waiting_ != pong.work_done()) {
    done_while_waiting_ = pong.work_done();
    stalled_ = 0;
    stalled_since_ns_ = now_ns;
    return std::nullopt;
  }
  if (++stalled_ < limits_.misses) return std::nullopt;
  return absl::StrCat("hung: work waits, none done in ",
                      (now_ns - stalled_since_ns_) / 1'000'000, " ms");
}

}  // namespace bulkhead::supervisor
