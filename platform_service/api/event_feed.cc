#include "platform_service/api/event_feed.h"

#include <algorithm>
#include <utility>

namespace bulkhead::platform {

void EventFeed::Add(supervisor::Event event) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!events_.empty() && event.sequence() <= events_.back().sequence()) {
      return;
    }
    events_.push_back(std::move(event));
    if (events_.size() > kKept) events_.pop_front();
  }
  news_.notify_all();
}

std::vector<supervisor::Event> EventFeed::After(uint64_t sequence,
                                                size_t most) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto first =
      std::upper_bound(events_.begin(), events_.end(), sequence,
                       [](uint64_t number, const supervisor::Event& event) {
                         return number < event.sequence();
                       });
  const size_t count =
      std::min<size_t>(most, static_cast<size_t>(events_.end() - first));
  return {first, first + static_cast<ptrdiff_t>(count)};
}

bool EventFeed::Wait(uint64_t sequence,
                     std::chrono::milliseconds timeout) const {
  std::unique_lock<std::mutex> lock(mutex_);
  news_.wait_for(lock, timeout, [&] {
    return closed_ ||
           (!events_.empty() && events_.back().sequence() > sequence);
  });
  return !closed_;
}

uint64_t EventFeed::last_sequence() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return events_.empty() ? 0 : events_.back().sequence();
}

void EventFeed::Close() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
  }
  news_.notify_all();
}

}  // namespace bulkhead::platform
