// How other threads (gRPC's) ask something of the loop's thread.
#ifndef BULKHEAD_PLATFORM_SERVICE_API_MAILBOX_H_
#define BULKHEAD_PLATFORM_SERVICE_API_MAILBOX_H_

#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"

namespace bulkhead::platform {

// Guarantees: letters are carried out on the loop's thread in the order in
// which they were put in.
// Threading: Put from any thread; the rest on the loop's.
class Mailbox {
 public:
  static absl::StatusOr<std::unique_ptr<Mailbox>> Create(EventLoop& loop);
  ~Mailbox();

  void Put(std::function<void()> letter);

 private:
  Mailbox(EventLoop& loop, UniqueFd bell)
      : loop_(loop), bell_(std::move(bell)) {}

  void Empty();

  EventLoop& loop_;
  UniqueFd bell_;
  EventLoop::WatchId watch_ = 0;
  std::mutex mutex_;
  std::vector<std::function<void()>> letters_;  // Under mutex_.
};

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_API_MAILBOX_H_
