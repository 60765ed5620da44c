// A sequence that must wait, written straight: a C++20 coroutine that runs on
// the event loop.
//
//   Task<absl::Status> E1000e::Reset() {
//     regs_.Write(CTRL::Rst(1));
//     co_await loop_.Sleep(1ms);
//     co_return regs_.Read<CTRL>().Rst() ? Timeout() : absl::OkStatus();
//   }
#ifndef BULKHEAD_BASE_TASK_H_
#define BULKHEAD_BASE_TASK_H_

#include <coroutine>
#include <cstdlib>
#include <functional>
#include <optional>
#include <utility>

namespace bulkhead {

// A lazily started coroutine: it runs when it is awaited, or when Start gives
// it a completion handler. Owns its frame: destroying an unfinished Task
// destroys the frame, so whoever started it must outlive its wake-ups
// (EventLoop::Sleep's timer must not fire afterwards).
template <typename T>
class [[nodiscard]] Task {
 public:
  struct promise_type {
    std::optional<T> value;
    std::coroutine_handle<> continuation;
    std::function<void(T)> done;

    Task get_return_object() {
      return Task(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    std::suspend_always initial_suspend() noexcept { return {}; }
    auto final_suspend() noexcept {
      struct Final {
        bool await_ready() noexcept { return false; }
        std::coroutine_handle<> await_suspend(
            std::coroutine_handle<promise_type> self) noexcept {
          promise_type& promise = self.promise();
          if (promise.done) {
            // The handler may destroy the Task: take what it needs first.
            auto done = std::move(promise.done);
            T value = std::move(*promise.value);
            done(std::move(value));
            return std::noop_coroutine();
          }
          return promise.continuation ? promise.continuation
                                      : std::noop_coroutine();
        }
        void await_resume() noexcept {}
      };
      return Final{};
    }
    void return_value(T result) { value.emplace(std::move(result)); }
    // Coroutines here report by Status; an exception is a bug.
    void unhandled_exception() { std::abort(); }
  };

  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Task& operator=(Task&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  ~Task() {
    if (handle_) handle_.destroy();
  }

  // Runs until the first wait; `done` gets the result, perhaps before Start
  // returns. Keep the Task alive until then.
  void Start(std::function<void(T)> done) {
    handle_.promise().done = std::move(done);
    handle_.resume();
  }

  auto operator co_await() noexcept {
    struct Awaiter {
      std::coroutine_handle<promise_type> handle;
      bool await_ready() noexcept { return false; }
      std::coroutine_handle<> await_suspend(
          std::coroutine_handle<> waiter) noexcept {
        handle.promise().continuation = waiter;
        return handle;
      }
      T await_resume() { return std::move(*handle.promise().value); }
    };
    return Awaiter{handle_};
  }

 private:
  explicit Task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}

  std::coroutine_handle<promise_type> handle_;
};

}  // namespace bulkhead

#endif  // BULKHEAD_BASE_TASK_H_
