// The last events, numbered.
#ifndef BULKHEAD_SUPERVISOR_EVENT_LOG_H_
#define BULKHEAD_SUPERVISOR_EVENT_LOG_H_

#include <cstddef>
#include <cstdint>
#include <deque>

#include "supervisor/api/supervisor.pb.h"

namespace bulkhead::supervisor {

// Guarantees: sequence numbers start at 1 and have no holes; the last kCapacity
// events are kept; no text is longer than kMaxTextBytes or has control
// characters in it.
class EventLog {
 public:
  static constexpr size_t kCapacity = 4096;
  // Keeps a full log, and one event's message, small.
  static constexpr size_t kMaxTextBytes = 1024;

  // Numbers `event` (and gives it the present time if it has none), keeps it
  // and returns what was kept.
  const Event& Add(Event event);

  // Oldest first.
  const std::deque<Event>& events() const { return events_; }

 private:
  std::deque<Event> events_;
  uint64_t last_sequence_ = 0;
};

}  // namespace bulkhead::supervisor

#endif  // BULKHEAD_SUPERVISOR_EVENT_LOG_H_
