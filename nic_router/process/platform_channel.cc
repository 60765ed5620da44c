#include "nic_router/process/platform_channel.h"

#include <sys/epoll.h>

#include <chrono>
#include <utility>

#include "base/errno_status.h"

namespace bulkhead::nic_router {
namespace {

// How long to wait for a platform service whose queue is full.
constexpr std::chrono::milliseconds kRetry{2};

}  // namespace

absl::StatusOr<std::unique_ptr<PlatformChannel>> PlatformChannel::Create(
    EventLoop& loop, UniqueFd socket, Handlers handlers) {
  std::unique_ptr<PlatformChannel> channel(
      new PlatformChannel(loop, std::move(socket), std::move(handlers)));
  PlatformChannel* self = channel.get();
  ASSIGN_OR_RETURN(self->watch_,
                   loop.Watch(self->channel_.fd(), EPOLLIN,
                              [self](uint32_t) { self->HandleReadable(); }));
  return channel;
}

PlatformChannel::~PlatformChannel() {
  if (watch_ != 0) loop_.Unwatch(watch_);
  loop_.Cancel(retry_);
}

// One message per turn of the loop, so that frames move in between.
void PlatformChannel::HandleReadable() {
  api::ToRouter message;
  std::vector<UniqueFd> fds;
  const absl::StatusOr<bool> received = channel_.Receive(&message, &fds);
  if (!received.ok()) return Lose(received.status());
  if (*received) handlers_.request(std::move(message), std::move(fds));
}

void PlatformChannel::Send(api::FromRouter message) {
  if (lost_) return;
  queued_.push_back(std::move(message));
  if (queued_.size() == 1) SendQueued();
}

void PlatformChannel::SendQueued() {
  retry_ = 0;
  while (!queued_.empty() && !lost_) {
    const absl::Status sent = channel_.Send(queued_.front());
    if (absl::IsResourceExhausted(sent)) {
      retry_ = loop_.After(kRetry, [this] { SendQueued(); });
      return;
    }
    if (!sent.ok()) return Lose(sent);
    queued_.pop_front();
  }
}

void PlatformChannel::Lose(absl::Status why) {
  if (std::exchange(lost_, true)) return;
  loop_.Unwatch(std::exchange(watch_, 0));
  handlers_.lost(std::move(why));
}

}  // namespace bulkhead::nic_router
