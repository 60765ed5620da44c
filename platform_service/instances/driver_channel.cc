#include "platform_service/instances/driver_channel.h"

#include <sys/epoll.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/errno_status.h"

namespace bulkhead::platform {

absl::StatusOr<std::unique_ptr<DriverChannel>> DriverChannel::Create(
    EventLoop& loop, UniqueFd socket, Handlers handlers) {
  std::unique_ptr<DriverChannel> channel(
      new DriverChannel(loop, std::move(socket), std::move(handlers)));
  ASSIGN_OR_RETURN(channel->watch_, loop.Watch(channel->fd(), EPOLLIN,
                                               [raw = channel.get()](uint32_t) {
                                                 raw->HandleReadable();
                                               }));
  return channel;
}

DriverChannel::~DriverChannel() { Silence(); }

void DriverChannel::Silence() {
  if (watch_ == 0) return;
  loop_.Unwatch(watch_);
  watch_ = 0;
}

void DriverChannel::Breach(const std::string& reason) {
  Silence();
  if (std::exchange(breached_, true)) return;
  handlers_.breach(reason);
}

void DriverChannel::Send(const ToDriver& message, std::span<const int> fds) {
  if (breached_) return;
  const absl::Status sent = channel_.Send(message, fds);
  // A peer that closed is dying: the supervisor says so soon.
  if (sent.ok() || absl::IsUnavailable(sent)) return;
  Breach(absl::StrCat("platform channel: ", sent.message()));
}

void DriverChannel::HandleReadable() {
  for (int i = 0; i < kMessagesPerTurn && watch_ != 0; ++i) {
    FromDriver message;
    std::vector<UniqueFd> fds;
    const absl::StatusOr<bool> received =
        channel_.Receive(&message, &fds, /*max_fds=*/0);
    if (absl::IsUnavailable(received.status())) return Silence();
    if (!received.ok()) {
      return Breach(
          absl::StrCat("platform channel: ", received.status().message()));
    }
    if (!*received) return;
    // Answers to our own CloseSession come as often as clients come and go.
    if (!message.has_session_closed() && !rate_.Take(MonotonicNs())) {
      return Breach(absl::StrCat("platform channel: more than ", kPerSecond,
                                 " messages a second"));
    }
    handlers_.message(message);
  }
}

}  // namespace bulkhead::platform
