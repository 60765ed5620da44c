// Calls that other threads want of a loop's thread.
#ifndef BULKHEAD_NIC_DRIVER_FRAMEWORK_CALL_QUEUE_H_
#define BULKHEAD_NIC_DRIVER_FRAMEWORK_CALL_QUEUE_H_

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/errno_status.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"

namespace bulkhead::nic_driver {

// Threading: Post is any thread's, the rest the loop's, or that of one who
// holds it. For the control path: it allocates and locks.
class CallQueue {
 public:
  // `loop` outlives it.
  static absl::StatusOr<std::unique_ptr<CallQueue>> Create(EventLoop& loop) {
    UniqueFd bell(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    if (!bell.valid()) return ErrnoStatus("create an eventfd");
    std::unique_ptr<CallQueue> queue(new CallQueue(loop, std::move(bell)));
    ASSIGN_OR_RETURN(queue->watch_, loop.Watch(queue->bell_.get(), EPOLLIN,
                                               [self = queue.get()](uint32_t) {
                                                 self->Run();
                                               }));
    return queue;
  }
  ~CallQueue() {
    if (watch_ != 0) loop_.Unwatch(watch_);
  }

  // Has `call` run on the loop's thread, after those that were posted before.
  void Post(std::function<void()> call) {
    {
      const std::lock_guard lock(mutex_);
      calls_.push_back(std::move(call));
    }
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written =
        ::write(bell_.get(), &one, sizeof(one));
  }

 private:
  CallQueue(EventLoop& loop, UniqueFd bell)
      : loop_(loop), bell_(std::move(bell)) {}

  void Run() {
    uint64_t count;
    [[maybe_unused]] const ssize_t got =
        ::read(bell_.get(), &count, sizeof(count));
    std::vector<std::function<void()>> due;
    {
      const std::lock_guard lock(mutex_);
      due.swap(calls_);
    }
    for (const auto& call : due) call();
  }

  EventLoop& loop_;
  const UniqueFd bell_;
  EventLoop::WatchId watch_ = 0;
  std::mutex mutex_;
  std::vector<std::function<void()>> calls_;
};

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_FRAMEWORK_CALL_QUEUE_H_
