#include "nic_driver/virtio_net/drop_watch.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "base/errno_status.h"

namespace bulkhead::nic_driver::virtio_net {
namespace {

// How often a device without buffers is asked: at first, and at most.
constexpr uint32_t kIntervalMs = 100;
constexpr uint32_t kMaxIntervalMs = 3200;

}  // namespace

absl::StatusOr<std::unique_ptr<DropWatch>> DropWatch::Create(
    EventLoop& loop, std::function<bool()> starving,
    std::function<void()> ask) {
  UniqueFd bell(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!bell.valid()) return ErrnoStatus("create an eventfd");
  std::unique_ptr<DropWatch> watch(new DropWatch(
      loop, std::move(bell), std::move(starving), std::move(ask)));
  ASSIGN_OR_RETURN(
      watch->watch_,
      loop.Watch(watch->bell_.get(), EPOLLIN, [self = watch.get()](uint32_t) {
        uint64_t count;
        [[maybe_unused]] const ssize_t got =
            ::read(self->bell_.get(), &count, sizeof(count));
        self->Begin();
      }));
  return watch;
}

DropWatch::~DropWatch() {
  loop_.Cancel(timer_);
  if (watch_ != 0) loop_.Unwatch(watch_);
}

void DropWatch::Starved() {
  // Looked at first: an exchange would take the line from the other queues.
  if (watching_.load() || watching_.exchange(true)) return;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t rung = ::write(bell_.get(), &one, sizeof(one));
}

// No receiver has a buffer yet.
void DropWatch::Start() {
  started_ = true;
  ask_();
  watching_ = true;
  Begin();
}

void DropWatch::Stop() {
  started_ = known_ = false;
  watching_ = false;
  loop_.Cancel(std::exchange(timer_, 0));
}

void DropWatch::Begin() {
  if (!started_ || timer_ != 0) return;
  interval_ms_ = kIntervalMs;
  AskLater();
}

void DropWatch::AskLater() {
  timer_ = loop_.After(std::chrono::milliseconds(interval_ms_), [this] {
    timer_ = 0;
    if (!started_) return;
    // Before the question: whoever starves from here on begins anew.
    watching_ = false;
    ask_();
    // With buffers in all rings again, this was the last time.
    if (!starving_()) return;
    watching_ = true;
    interval_ms_ = std::min(2 * interval_ms_, kMaxIntervalMs);
    AskLater();
  });
}

void DropWatch::Answer(uint64_t drops) {
  if (known_ && drops > seen_) {
    untold_ += drops - seen_;
    interval_ms_ = kIntervalMs;
  }
  known_ = true;
  seen_ = drops;
}

}  // namespace bulkhead::nic_driver::virtio_net
