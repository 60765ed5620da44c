// Whether a living process still does its work.
#ifndef BULKHEAD_SUPERVISOR_HEARTBEAT_H_
#define BULKHEAD_SUPERVISOR_HEARTBEAT_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "supervisor/api/child.pb.h"
#include "supervisor/api/supervisor.pb.h"

namespace bulkhead::supervisor {

// Two signs of a hang: pings stay unanswered, or as many answers in a row
// say that work waits while nothing is done. One stalled interval is none, nor
// is one in which the process, though able to run, got no CPU (`starved`): on a
// busy machine that says nothing of the process.
//
// A process that has nothing to do is asked seldom: when its answers have told
// for kQuiet that nothing was done and nothing waits, it rests, and is asked
// once in a resting interval. It leaves its rest when an answer tells of work,
// stays away, or when the owner hears of work for it (Attend).
//
// Pure: the owner brings the time, sends the pings and does the killing.
class Heartbeat {
 public:
  struct Limits {
    std::chrono::milliseconds interval{100};
    uint32_t misses = 3;
  };
  static constexpr std::chrono::seconds kQuiet{1};
  // The resting interval: so many intervals, at most kMostRest.
  static constexpr int kRestIntervals = 100;
  static constexpr std::chrono::seconds kMostRest{10};
  // Starved intervals are forgiven up to so many times the misses: a process
  // that can make itself look starved is not safe for ever.
  static constexpr uint32_t kStarvedPatience = 10;

  // Zero fields of `spec` take the defaults of Limits.
  static Limits LimitsOf(const ProcessSpec::Heartbeat& spec);

  // The pings of all processes fall on a common grid, so that they share
  // wake-ups. `phase`: any number; resting processes of different phases are
  // asked at different times, so that they do not all wake up at once.
  Heartbeat(const Limits& limits, uint64_t now_ns, uint32_t phase = 0);

  // When the next Tick is due. HandlePong and Attend change it.
  uint64_t due_ns() const { return due_ns_; }

  // To be called when it is due. Returns the cause when the process hangs;
  // otherwise a ping with ping_number() is due. `starved`: since the last Tick
  // or Pong the process waited for a CPU and got next to none.
  std::optional<std::string> Tick(uint64_t now_ns, bool starved = false);

  // Returns the cause when the process hangs.
  std::optional<std::string> HandlePong(const FromChild::Pong& pong,
                                        uint64_t now_ns, bool starved = false);

  // There is work for it: asks at once if it rests, and often from now on.
  void Attend(uint64_t now_ns);

  uint64_t ping_number() const { return pings_; }
  // The last ping is unanswered.
  bool waits_for_answer() const { return answered_ < pings_; }
  // It said that work waits, and has done none since.
  bool stalls() const { return done_while_waiting_.has_value(); }
  bool rests() const { return rests_; }

 private:
  bool Forgives(bool starved);
  void SetDue(uint64_t from_ns, bool resting);

  const Limits limits_;
  const uint32_t phase_;
  uint64_t due_ns_ = 0;
  uint64_t pings_ = 0;
  uint64_t answered_ = 0;
  uint32_t missed_ = 0;
  uint32_t forgiven_ = 0;
  bool rests_ = false;
  uint64_t work_done_ = 0;
  uint64_t last_work_ns_;  // When it was heard of last.
  uint64_t last_tick_ns_;
  uint64_t last_pong_ns_;
  // work_done of the last pong, if that one said that work waits.
  std::optional<uint64_t> done_while_waiting_;
  uint32_t stalled_ = 0;  // Pongs since that said the same.
  uint64_t stalled_since_ns_ = 0;
};

}  // namespace bulkhead::supervisor

#endif  // BULKHEAD_SUPERVISOR_HEARTBEAT_H_
