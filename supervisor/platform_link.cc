#include "supervisor/platform_link.h"

#include <sys/epoll.h>

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"

namespace bulkhead::supervisor {
namespace {

// A full queue is looked at again after this long: "writable" would not say
// that too many descriptors are under way.
constexpr std::chrono::milliseconds kRetry(1);

}  // namespace

absl::Status PlatformLink::Attach(SeqpacketChannel channel) {
  Detach();
  ASSIGN_OR_RETURN(watch_, loop_.Watch(channel.fd(), EPOLLIN,
                                       [this](uint32_t) { HandleReadable(); }));
  channel_ = std::move(channel);
  return absl::OkStatus();
}

void PlatformLink::Drain() {
  ToSupervisor message;
  std::vector<UniqueFd> fds;
  while (attached()) {
    const absl::StatusOr<bool> received = channel_.Receive(&message, &fds);
    if (!received.ok() || !*received) return;
    handlers_.message(std::move(message), std::move(fds));
  }
}

void PlatformLink::Detach() {
  loop_.Cancel(std::exchange(retry_timer_, 0));
  if (watch_ != 0) loop_.Unwatch(std::exchange(watch_, 0));
  queue_.clear();
  channel_.Close();
}

void PlatformLink::Send(FromSupervisor message,
                        std::shared_ptr<const DescriptorStore::Entry> parked) {
  if (!attached()) return;
  queue_.push_back({std::move(message), std::move(parked)});
  if (queue_.size() > kMaxQueued) {
    GiveUp("it does not read what the supervisor tells it");
    return;
  }
  if (retry_timer_ == 0) Flush();
}

void PlatformLink::Flush() {
  while (!queue_.empty()) {
    const absl::Status status = SendNow(queue_.front());
    if (absl::IsResourceExhausted(status)) {
      retry_timer_ = loop_.After(kRetry, [this] {
        retry_timer_ = 0;
        Flush();
      });
      return;
    }
    // End of file: told by the watch, so that what it still said is heard.
    if (absl::IsUnavailable(status)) {
      queue_.clear();
      return;
    }
    queue_.pop_front();
    if (!status.ok()) {
      GiveUp(absl::StrCat("send to it: ", status.message()));
      return;
    }
  }
}

absl::Status PlatformLink::SendNow(const Queued& queued) {
  std::vector<int> fds;
  if (queued.parked != nullptr) {
    for (const UniqueFd& fd : queued.parked->fds) fds.push_back(fd.get());
  }
  return channel_.Send(queued.message, fds);
}

void PlatformLink::HandleReadable() {
  ToSupervisor message;
  std::vector<UniqueFd> fds;
  const absl::StatusOr<bool> received = channel_.Receive(&message, &fds);
  if (!received.ok()) {
    GiveUp(std::string(received.status().message()));
    return;
  }
  if (*received) handlers_.message(std::move(message), std::move(fds));
}

void PlatformLink::GiveUp(const std::string& reason) {
  Detach();
  handlers_.gone(reason);
}

}  // namespace bulkhead::supervisor
