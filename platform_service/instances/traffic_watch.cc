#include "platform_service/instances/traffic_watch.h"

#include <sys/epoll.h>

#include "base/errno_status.h"

namespace bulkhead::platform {

absl::Status TrafficWatch::Arm(std::span<const int> bells) {
  Disarm();
  UniqueFd set(::epoll_create1(EPOLL_CLOEXEC));
  if (!set.valid()) return ErrnoStatus("create an epoll set");
  for (const int bell : bells) {
    epoll_event event = {};
    // Edge-triggered: a bell's count is not ours to read.
    event.events = EPOLLIN | EPOLLET;
    if (::epoll_ctl(set.get(), EPOLL_CTL_ADD, bell, &event) != 0) {
      return ErrnoStatus("watch a doorbell");
    }
  }
  // Forgets, one at a time, what rang before.
  epoll_event event;
  for (size_t i = 0; i < bells.size(); ++i) {
    if (::epoll_wait(set.get(), &event, 1, 0) <= 0) break;
  }
  auto watch = loop_.Watch(set.get(), EPOLLIN, [this](uint32_t) {
    Disarm();
    rung_();
  });
  if (!watch.ok()) return watch.status();
  set_ = std::move(set);
  watch_ = *watch;
  return absl::OkStatus();
}

void TrafficWatch::Disarm() {
  if (watch_ == 0) return;
  loop_.Unwatch(std::exchange(watch_, 0));
  set_.Reset();
}

}  // namespace bulkhead::platform
