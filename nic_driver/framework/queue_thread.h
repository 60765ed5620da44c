// The thread of a queue: an event loop of its own, which the control thread can
// stop between two handlers.
#ifndef BULKHEAD_NIC_DRIVER_FRAMEWORK_QUEUE_THREAD_H_
#define BULKHEAD_NIC_DRIVER_FRAMEWORK_QUEUE_THREAD_H_

#include <pthread.h>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "nic_driver/framework/call_queue.h"

namespace bulkhead::nic_driver {

// Guarantees: between Hold and Release no handler of the loop runs, and what
// was
//   written on either thread before is seen by the other. So the holder may use
//   the loop, and whatever the thread's handlers use, as if there were no
//   threads.
// Threading: all calls but those of handlers are the control thread's.
class QueueThread {
 public:
  static absl::StatusOr<std::unique_ptr<QueueThread>> Create();
  // Ends the thread. Handlers that it was asked to run may not have run.
  ~QueueThread();

  EventLoop& loop() { return *loop_; }
  // Has `call` run on the thread. From any thread.
  void Post(std::function<void()> call) { calls_->Post(std::move(call)); }

  // Waits until the thread is between two handlers, and keeps it there. A
  // handler that never returns is a hang of the control thread, too, which the
  // heartbeat finds.
  void Hold();
  void Release();

  // Whether it has come round since the last call, which asks it to. Being held
  // counts. For the heartbeat, at most as often as that.
  bool IsAlive();

 private:
  explicit QueueThread(std::unique_ptr<EventLoop> loop)
      : loop_(std::move(loop)) {}

  static void* Main(void* self);
  // On the thread: says that it is held, and waits.
  void Halt();

  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<CallQueue> calls_;
  pthread_t thread_ = {};
  bool started_ = false;
  std::mutex mutex_;  // Of all that follows.
  std::condition_variable changed_;
  bool wanted_ = false;  // Hold was called.
  bool halted_ = false;  // And the thread has stopped.
  bool asked_ = false;   // IsAlive waits for an answer.
};

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_FRAMEWORK_QUEUE_THREAD_H_
