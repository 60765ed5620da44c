// The system's events, from the one thread that learns of them to any number of
// watchers.
#ifndef BULKHEAD_PLATFORM_SERVICE_API_EVENT_FEED_H_
#define BULKHEAD_PLATFORM_SERVICE_API_EVENT_FEED_H_

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <vector>

#include "supervisor/api/supervisor.pb.h"

namespace bulkhead::platform {

// Keeps the last kKept events, in the order of their sequence numbers.
// Threading: any thread.
class EventFeed {
 public:
  static constexpr size_t kKept = 4096;

  // Ignores an event whose number is not above the last one's: after a restart
  // of the platform service the supervisor replays what it keeps.
  void Add(supervisor::Event event);

  // Events after `sequence`, at most `most`.
  std::vector<supervisor::Event> After(uint64_t sequence, size_t most) const;
  // Returns when there is an event after `sequence`, the feed was closed, or
  // the time is up; false: closed.
  bool Wait(uint64_t sequence, std::chrono::milliseconds timeout) const;
  // Number of the last event; 0: none yet.
  uint64_t last_sequence() const;
  // Ends all waits.
  void Close();

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable news_;
  std::deque<supervisor::Event> events_;
  bool closed_ = false;
};

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_API_EVENT_FEED_H_
