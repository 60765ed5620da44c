#include "packet_stream/doorbell.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/errno_status.h"

namespace bulkhead::packet_stream {
namespace {

// More than a set ever holds: a session's two bells and a client's socket.
constexpr int kMaxEvents = 8;

}  // namespace

void DoorbellRinger::Ring() const {
  const uint64_t one = 1;
  // The only failure is a counter that is full; then the bell has rung.
  [[maybe_unused]] const ssize_t written =
      ::write(eventfd_.get(), &one, sizeof(one));
}

absl::StatusOr<DoorbellWaiter> DoorbellWaiter::Create(UniqueFd epoll) {
  epoll_event events[kMaxEvents];
  if (::epoll_wait(epoll.get(), events, kMaxEvents, 0) < 0 && errno != EINTR) {
    return ErrnoStatus("use a session's doorbell, which must be an epoll set");
  }
  return DoorbellWaiter(std::move(epoll));
}

uint32_t DoorbellWaiter::Wait(int timeout_ms) const {
  epoll_event events[kMaxEvents];
  const int count = ::epoll_wait(epoll_.get(), events, kMaxEvents, timeout_ms);
  uint32_t tags = 0;
  for (int i = 0; i < count; ++i) tags |= events[i].data.u32;
  return tags;
}

absl::Status DoorbellWaiter::Add(int fd, uint32_t tag) const {
  epoll_event event = {};
  event.events = EPOLLIN | EPOLLRDHUP | EPOLLET;
  event.data.u32 = tag;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return ErrnoStatus("add a descriptor to a doorbell's epoll set");
  }
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> CreateBell() {
  UniqueFd bell(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!bell.valid()) return ErrnoStatus("create a doorbell");
  return bell;
}

absl::StatusOr<UniqueFd> CreateBellWaiter(std::initializer_list<int> bells) {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return ErrnoStatus("create a doorbell's epoll set");
  for (const int bell : bells) {
    epoll_event event = {};
    event.events = EPOLLIN | EPOLLET;
    event.data.u32 = DoorbellWaiter::kBellTag;
    if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, bell, &event) != 0) {
      return ErrnoStatus("add a doorbell to its epoll set");
    }
  }
  return epoll;
}

}  // namespace bulkhead::packet_stream
