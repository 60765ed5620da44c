#include "base/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <array>

#include "base/clock.h"
#include "base/errno_status.h"

namespace bulkhead {
namespace {

// Ids of the loop's own two descriptors; watches start above.
constexpr uint64_t kTimerToken = ~uint64_t{0};
constexpr uint64_t kWakeToken = ~uint64_t{0} - 1;

void Drain(int fd) {
  uint64_t count;
  // Both descriptors are non-blocking counters: nothing to read is fine.
  [[maybe_unused]] const ssize_t got = ::read(fd, &count, sizeof(count));
}

absl::Status AddToEpoll(int epoll, int fd, uint32_t events, uint64_t token) {
  epoll_event event = {};
  event.events = events;
  event.data.u64 = token;
  if (::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
    return ErrnoStatus("watch a descriptor");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<EventLoop>> EventLoop::Create() {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return ErrnoStatus("create an epoll set");
  UniqueFd timer(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  if (!timer.valid()) return ErrnoStatus("create a timer");
  UniqueFd wake(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!wake.valid()) return ErrnoStatus("create an eventfd");
  RETURN_IF_ERROR(AddToEpoll(epoll.get(), timer.get(), EPOLLIN, kTimerToken));
  RETURN_IF_ERROR(AddToEpoll(epoll.get(), wake.get(), EPOLLIN, kWakeToken));
  return std::unique_ptr<EventLoop>(
      new EventLoop(std::move(epoll), std::move(timer), std::move(wake)));
}

absl::StatusOr<EventLoop::WatchId> EventLoop::Watch(
    int fd, uint32_t events, std::function<void(uint32_t)> handler) {
  const WatchId id = next_id_++;
  RETURN_IF_ERROR(AddToEpoll(epoll_.get(), fd, events, id));
  watchers_[id] = Watcher{
      fd, std::make_shared<std::function<void(uint32_t)>>(std::move(handler))};
  return id;
}

void EventLoop::Unwatch(WatchId id) {
  const auto it = watchers_.find(id);
  if (it == watchers_.end()) return;
  // The descriptor is open (the caller's part of the contract), so this cannot
  // fail.
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, it->second.fd, nullptr);
  watchers_.erase(it);
}

EventLoop::TimerId EventLoop::After(std::chrono::nanoseconds delay,
                                    std::function<void()> handler) {
  return At(MonotonicNs() + std::max<int64_t>(0, delay.count()),
            std::move(handler));
}

EventLoop::TimerId EventLoop::At(uint64_t deadline_ns,
                                 std::function<void()> handler) {
  const TimerId id = next_id_++;
  timers_.emplace(deadline_ns, std::make_pair(id, std::move(handler)));
  return id;
}

void EventLoop::Cancel(TimerId id) {
  const auto it = std::find_if(
      timers_.begin(), timers_.end(),
      [id](const auto& timer) { return timer.second.first == id; });
  if (it != timers_.end()) timers_.erase(it);
}

EventLoop::PollerId EventLoop::AddPoller(std::function<bool()> poll) {
  const PollerId id = next_id_++;
  pollers_.push_back(
      {id, std::make_shared<std::function<bool()>>(std::move(poll))});
  return id;
}

void EventLoop::RemovePoller(PollerId id) {
  std::erase_if(pollers_, [id](const Poller& p) { return p.id == id; });
}

bool EventLoop::RunPollers() {
  bool busy = false;
  // By index: a poller may add or remove pollers.
  for (size_t i = 0; i < pollers_.size(); ++i) {
    const std::shared_ptr<std::function<bool()>> poll = pollers_[i].poll;
    busy |= (*poll)();
  }
  return busy;
}

void EventLoop::RunDueTimers() {
  const uint64_t now_ns = MonotonicNs();
  while (!timers_.empty() && timers_.begin()->first <= now_ns) {
    auto node = timers_.extract(timers_.begin());
    node.mapped().second();
  }
}

void EventLoop::ArmTimer() {
  const uint64_t deadline_ns = timers_.empty() ? 0 : timers_.begin()->first;
  if (deadline_ns == armed_deadline_ns_) return;
  itimerspec when = {};
  when.it_value.tv_sec = static_cast<time_t>(deadline_ns / 1'000'000'000u);
  when.it_value.tv_nsec = static_cast<long>(deadline_ns % 1'000'000'000u);
  ::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &when, nullptr);
  armed_deadline_ns_ = deadline_ns;
}

void EventLoop::RunOnce(int timeout_ms) {
  const bool busy = RunPollers();
  if (!timers_.empty()) {
    if (timers_.begin()->first <= MonotonicNs()) timeout_ms = 0;
    ArmTimer();
  }
  std::array<epoll_event, 32> events;
  const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(),
                                 busy ? 0 : timeout_ms);
  for (int i = 0; i < count; ++i) {
    const uint64_t token = events[i].data.u64;
    if (token == kTimerToken) {
      Drain(timer_.get());
      armed_deadline_ns_ = 0;
    } else if (token == kWakeToken) {
      Drain(wake_.get());
    } else if (const auto it = watchers_.find(token); it != watchers_.end()) {
      // Held while it runs, so that a handler may unwatch itself.
      const auto handler = it->second.handler;
      (*handler)(events[i].events);
    }
  }
  RunDueTimers();
}

void EventLoop::Run() {
  __atomic_store_n(&stopped_, false, __ATOMIC_RELAXED);
  while (!__atomic_load_n(&stopped_, __ATOMIC_ACQUIRE)) RunOnce(-1);
}

void EventLoop::Stop() {
  __atomic_store_n(&stopped_, true, __ATOMIC_RELEASE);
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written =
      ::write(wake_.get(), &one, sizeof(one));
}

}  // namespace bulkhead
