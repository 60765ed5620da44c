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
// say that work waits while nothing is done. One stalled interval is none: on a
// busy machine the process, or the device that it waits for, may not get a CPU
// for so long.
// Pure: the owner brings the time, sends the pings and does the killing.
class Heartbeat {
 public:
  struct Limits {
    std::chrono::milliseconds interval{100};
    uint32_t misses = 3;
  };

  // Zero fields of `spec` take the defaults of Limits.
  static Limits LimitsOf(const ProcessSpec::Heartbeat& spec);

  Heartbeat(const Limits& limits, uint64_t now_ns)
      : limits_(limits), last_tick_ns_(now_ns), last_pong_ns_(now_ns) {}

  // To be called once per interval. Returns the cause when the process hangs;
  // otherwise a ping with ping_number() is due.
  std::optional<std::string> Tick(uint64_t now_ns);

  // Returns the cause when the process hangs.
  std::optional<std::string> HandlePong(const FromChild::Pong& pong,
                                        uint64_t now_ns);

  uint64_t ping_number() const { return pings_; }
  std::chrono::milliseconds interval() const { return limits_.interval; }

 private:
  Limits limits_;
  uint64_t pings_ = 0;
  uint64_t answered_ = 0;
  uint32_t missed_ = 0;
  uint64_t last_tick_ns_;
  uint64_t last_pong_ns_;
  // work_done of the last pong, if that one said that work waits.
  std::optional<uint64_t> done_while_waiting_;
  uint32_t stalled_ = 0;  // Pongs since that said the same.
  uint64_t stalled_since_ns_ = 0;
};

}  // namespace bulkhead::supervisor

#endif  // BULKHEAD_SUPERVISOR_HEARTBEAT_H_
