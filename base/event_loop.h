// One thread's event loop: descriptors, one-shot timers, and pollers for the
// time when waiting would be slower than looking.
#ifndef BULKHEAD_BASE_EVENT_LOOP_H_
#define BULKHEAD_BASE_EVENT_LOOP_H_

#include <chrono>
#include <coroutine>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace bulkhead {

// Guarantees:
//   - Handlers run one at a time, on the thread that calls Run or RunOnce.
//   - A handler may add and remove any watch, timer or poller, its own too; a
//     removed one is never called again.
//   - With no work the loop sleeps in the kernel: no tick of its own.
// Threading: everything on one thread, except Stop.
class EventLoop {
 public:
  using TimerId = uint64_t;
  using WatchId = uint64_t;
  using PollerId = uint64_t;

  static absl::StatusOr<std::unique_ptr<EventLoop>> Create();

  // Calls `handler(events)` while `fd` has any of `events` (EPOLLIN, …; level
  // triggered). `fd` stays the caller's and must be unwatched before it is
  // closed.
  absl::StatusOr<WatchId> Watch(int fd, uint32_t events,
                                std::function<void(uint32_t)> handler);
  void Unwatch(WatchId id);

  // Calls `handler` once, not before `delay` has passed.
  TimerId After(std::chrono::nanoseconds delay, std::function<void()> handler);
  // The same at a time of CLOCK_MONOTONIC. Timers of one time share a wake-up.
  TimerId At(uint64_t deadline_ns, std::function<void()> handler);
  // Harmless for a timer that has fired.
  void Cancel(TimerId id);

  // Calls `poll` once per turn of the loop. While any poller returns true
  // ("did work"), the loop does not sleep; a poller that returns false must
  // have armed a descriptor that will wake the loop.
  PollerId AddPoller(std::function<bool()> poll);
  void RemovePoller(PollerId id);

  // Runs `handler` on the next turn of the loop.
  void Post(std::function<void()> handler) {
    After(std::chrono::nanoseconds(0), std::move(handler));
  }

  // Serves until Stop.
  void Run();
  // One turn: waits up to `timeout_ms` (-1: for ever) when there is nothing to
  // do.
  void RunOnce(int timeout_ms);
  // Makes Run return after the current turn. May be called from any thread.
  void Stop();

  // co_await loop.Sleep(20ms): resumes on a later turn of the loop.
  auto Sleep(std::chrono::nanoseconds delay) {
    struct Awaiter {
      EventLoop* loop;
      std::chrono::nanoseconds delay;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> waiter) {
        loop->After(delay, [waiter] { waiter.resume(); });
      }
      void await_resume() const noexcept {}
    };
    return Awaiter{this, delay};
  }

 private:
  struct Watcher {
    int fd;
    std::shared_ptr<std::function<void(uint32_t)>> handler;
  };
  struct Poller {
    PollerId id;
    std::shared_ptr<std::function<bool()>> poll;
  };

  EventLoop(UniqueFd epoll, UniqueFd timer, UniqueFd wake)
      : epoll_(std::move(epoll)),
        timer_(std::move(timer)),
        wake_(std::move(wake)) {}

  bool RunPollers();
  void RunDueTimers();
  void ArmTimer();

  UniqueFd epoll_;
  UniqueFd timer_;
  UniqueFd wake_;
  uint64_t next_id_ = 1;
  std::unordered_map<WatchId, Watcher> watchers_;
  std::vector<Poller> pollers_;
  // Ordered by deadline in CLOCK_MONOTONIC nanoseconds.
  std::multimap<uint64_t, std::pair<TimerId, std::function<void()>>> timers_;
  uint64_t armed_deadline_ns_ = 0;
  bool stopped_ = false;
};

}  // namespace bulkhead

#endif  // BULKHEAD_BASE_EVENT_LOOP_H_
