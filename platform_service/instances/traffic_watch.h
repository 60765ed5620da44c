// Hears, once, that a driver was given something to do.
#ifndef BULKHEAD_PLATFORM_SERVICE_INSTANCES_TRAFFIC_WATCH_H_
#define BULKHEAD_PLATFORM_SERVICE_INSTANCES_TRAFFIC_WATCH_H_

#include <functional>
#include <span>
#include <utility>

#include "absl/status/status.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"

namespace bulkhead::platform {

// A driver that sleeps is woken by a bell: its client's, or an interrupt. To
// listen to the same bells costs an idle platform service nothing, and tells
// when it has to look after that driver again. After the first ring it listens
// no more, so that traffic does not wake it.
// Threading: the loop's thread.
class TrafficWatch {
 public:
  // `rung` may arm again.
  TrafficWatch(EventLoop& loop, std::function<void()> rung)
      : loop_(loop), rung_(std::move(rung)) {}
  ~TrafficWatch() { Disarm(); }

  // Calls `rung` when any of `bells`, which are eventfds, is rung from now on.
  // What rang before does not count: look at the rings afterwards, as in
  // packet_stream/doorbell.h. The bells are watched, never read.
  absl::Status Arm(std::span<const int> bells);
  void Disarm();
  bool armed() const { return watch_ != 0; }

 private:
  EventLoop& loop_;
  const std::function<void()> rung_;
  UniqueFd set_;
  EventLoop::WatchId watch_ = 0;
};

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_INSTANCES_TRAFFIC_WATCH_H_
