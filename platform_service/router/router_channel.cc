#include "platform_service/router/router_channel.h"

#include <fcntl.h>
#include <sys/epoll.h>

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/errno_status.h"

namespace bulkhead::platform {
namespace {

constexpr std::chrono::milliseconds kRetryDelay{2};

}  // namespace

absl::StatusOr<std::unique_ptr<RouterChannel>> RouterChannel::Create(
    EventLoop& loop, UniqueFd socket, Handlers handlers) {
  std::unique_ptr<RouterChannel> channel(
      new RouterChannel(loop, std::move(socket), std::move(handlers)));
  ASSIGN_OR_RETURN(channel->watch_, loop.Watch(channel->fd(), EPOLLIN,
                                               [raw = channel.get()](uint32_t) {
                                                 raw->HandleReadable();
                                               }));
  return channel;
}

RouterChannel::~RouterChannel() { Silence(); }

void RouterChannel::Silence() {
  loop_.Cancel(std::exchange(retry_, 0));
  if (watch_ == 0) return;
  loop_.Unwatch(std::exchange(watch_, 0));
}

void RouterChannel::Breach(const std::string& reason) {
  Silence();
  if (std::exchange(breached_, true)) return;
  handlers_.breach(absl::StrCat("platform channel: ", reason));
}

void RouterChannel::Send(nic_router::api::ToRouter message,
                         std::span<const int> fds) {
  if (breached_) return;
  if (!queue_.empty()) return Queue(std::move(message), fds);
  const absl::Status sent = channel_.Send(message, fds);
  // A peer that closed is dying: the supervisor says so soon.
  if (sent.ok() || absl::IsUnavailable(sent)) return;
  if (absl::IsResourceExhausted(sent)) return Queue(std::move(message), fds);
  Breach(std::string(sent.message()));
}

void RouterChannel::Queue(nic_router::api::ToRouter message,
                          std::span<const int> fds) {
  if (queue_.size() >= kMostQueued) {
    return Breach(absl::StrCat("it does not read; ", kMostQueued,
                               " messages wait for it"));
  }
  Outgoing out{std::move(message), {}};
  for (const int fd : fds) {
    out.fds.emplace_back(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!out.fds.back().valid()) return Breach("we are out of descriptors");
  }
  queue_.push_back(std::move(out));
  if (retry_ == 0) {
    retry_ = loop_.After(kRetryDelay, [this] { SendQueued(); });
  }
}

void RouterChannel::SendQueued() {
  retry_ = 0;
  while (!queue_.empty()) {
    std::vector<int> fds;
    for (const UniqueFd& fd : queue_.front().fds) fds.push_back(fd.get());
    const absl::Status sent = channel_.Send(queue_.front().message, fds);
    if (absl::IsResourceExhausted(sent)) {
      retry_ = loop_.After(kRetryDelay, [this] { SendQueued(); });
      return;
    }
    if (!sent.ok() && !absl::IsUnavailable(sent)) {
      return Breach(std::string(sent.message()));
    }
    queue_.pop_front();
  }
}

void RouterChannel::HandleReadable() {
  for (int i = 0; i < kMessagesPerTurn && watch_ != 0; ++i) {
    nic_router::api::FromRouter message;
    std::vector<UniqueFd> fds;
    const absl::StatusOr<bool> received =
        channel_.Receive(&message, &fds, /*max_fds=*/0);
    if (absl::IsUnavailable(received.status())) return Silence();
    if (!received.ok()) {
      return Breach(std::string(received.status().message()));
    }
    if (!*received) return;
    // Answers are as many and as long as an operator asks for.
    if (!message.has_answer() && !rate_.Take(MonotonicNs())) {
      return Breach(
          absl::StrCat("more than ", kPerSecond, " messages a second"));
    }
    handlers_.message(message);
  }
}

}  // namespace bulkhead::platform
