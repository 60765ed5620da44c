#include "platform_service/supervisor_link.h"

#include <sys/epoll.h>

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/log.h"

namespace bulkhead::platform {
namespace {

using supervisor::FromSupervisor;
using supervisor::ToSupervisor;

// A queue towards a supervisor that does not read is looked at again after
// this time: EPOLLOUT does not report the end of ETOOMANYREFS.
constexpr auto kRetryDelay = std::chrono::milliseconds(1);

// Events tell of what is done; they wait until a recovery, which takes about a
// millisecond, two without a spare, need not share its CPUs with them.
constexpr auto kEventDelay = std::chrono::milliseconds(5);

// Messages taken in one turn, so that a replay of 4096 events does not keep
// sessions waiting.
constexpr int kMessagesPerTurn = 64;

}  // namespace

absl::StatusOr<std::unique_ptr<SupervisorLink>> SupervisorLink::Create(
    EventLoop& loop, SeqpacketChannel channel, Handlers handlers) {
  std::unique_ptr<SupervisorLink> link(
      new SupervisorLink(loop, std::move(channel), std::move(handlers)));
  auto watch =
      loop.Watch(link->channel_.fd(), EPOLLIN,
                 [raw = link.get()](uint32_t) { raw->HandleReadable(); });
  if (!watch.ok()) return watch.status();
  link->watch_ = *watch;
  return link;
}

SupervisorLink::~SupervisorLink() {
  FlushEvents();
  loop_.Cancel(retry_);
  loop_.Cancel(flush_);
  if (watch_ != 0) loop_.Unwatch(watch_);
}

void SupervisorLink::Define(const supervisor::ProcessSpec& spec) {
  ToSupervisor message;
  *message.mutable_define()->mutable_spec() = spec;
  Send(std::move(message));
}

void SupervisorLink::Remove(absl::string_view name) {
  ToSupervisor message;
  message.mutable_remove()->set_name(std::string(name));
  Send(std::move(message));
}

void SupervisorLink::Begin(absl::string_view name, std::string payload,
                           std::span<const int> fds) {
  ToSupervisor message;
  message.mutable_begin()->set_name(std::string(name));
  message.mutable_begin()->set_payload(std::move(payload));
  Send(std::move(message), fds);
}

void SupervisorLink::Signal(absl::string_view name, int number) {
  ToSupervisor message;
  message.mutable_signal()->set_name(std::string(name));
  message.mutable_signal()->set_number(number);
  Send(std::move(message));
}

void SupervisorLink::Restart(absl::string_view name) {
  ToSupervisor message;
  message.mutable_restart()->set_name(std::string(name));
  Send(std::move(message));
}

void SupervisorLink::Attend(absl::string_view name) {
  ToSupervisor message;
  message.mutable_attend()->set_name(std::string(name));
  Send(std::move(message));
}

void SupervisorLink::Breach(absl::string_view name, uint32_t generation,
                            absl::string_view reason) {
  ToSupervisor message;
  message.mutable_breach()->set_name(std::string(name));
  message.mutable_breach()->set_generation(generation);
  message.mutable_breach()->set_reason(std::string(reason));
  Send(std::move(message));
}

void SupervisorLink::Park(absl::string_view key, std::string state,
                          std::span<const int> fds) {
  ToSupervisor message;
  message.mutable_park()->set_key(std::string(key));
  message.mutable_park()->set_state(std::move(state));
  Send(std::move(message), fds);
}

void SupervisorLink::Unpark(absl::string_view key) {
  ToSupervisor message;
  message.mutable_unpark()->set_key(std::string(key));
  Send(std::move(message));
}

void SupervisorLink::ShutDown() {
  FlushEvents();
  ToSupervisor message;
  message.mutable_shut_down();
  Send(std::move(message));
}

void SupervisorLink::Record(absl::string_view process, uint32_t generation,
                            absl::string_view kind, absl::string_view text,
                            uint64_t time_ns) {
  supervisor::Event& event = events_.emplace_back();
  event.set_time_ns(time_ns != 0 ? time_ns : MonotonicNs());
  event.set_process(std::string(process));
  event.set_generation(generation);
  event.set_kind(std::string(kind));
  event.set_text(std::string(text));
  if (flush_ == 0) {
    flush_ = loop_.After(kEventDelay, [this] {
      flush_ = 0;
      FlushEvents();
    });
  }
}

void SupervisorLink::FlushEvents() {
  std::vector<supervisor::Event> events = std::move(events_);
  events_.clear();
  for (supervisor::Event& event : events) {
    ToSupervisor message;
    *message.mutable_record()->mutable_event() = std::move(event);
    Send(std::move(message));
  }
}

void SupervisorLink::Send(ToSupervisor message, std::span<const int> fds) {
  if (lost_) return;
  if (queue_.empty()) {
    const absl::Status sent = channel_.Send(message, fds);
    if (sent.ok()) return;
    if (absl::IsUnavailable(sent)) return Lose();
    if (!absl::IsResourceExhausted(sent)) {
      LogError(absl::StrCat("send to the supervisor: ", sent.message()));
      return;
    }
  }
  Outgoing out{std::move(message), {}};
  for (const int fd : fds) {
    UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!copy.valid()) {
      LogError("queue a message to the supervisor: out of descriptors");
      return;
    }
    out.fds.push_back(std::move(copy));
  }
  queue_.push_back(std::move(out));
  if (retry_ == 0) {
    retry_ = loop_.After(kRetryDelay, [this] { SendQueued(); });
  }
}

void SupervisorLink::SendQueued() {
  retry_ = 0;
  while (!queue_.empty()) {
    std::vector<int> fds;
    for (const UniqueFd& fd : queue_.front().fds) fds.push_back(fd.get());
    const absl::Status sent = channel_.Send(queue_.front().message, fds);
    if (absl::IsResourceExhausted(sent)) {
      retry_ = loop_.After(kRetryDelay, [this] { SendQueued(); });
      return;
    }
    if (absl::IsUnavailable(sent)) return Lose();
    if (!sent.ok()) {
      LogError(absl::StrCat("send to the supervisor: ", sent.message()));
    }
    queue_.pop_front();
  }
}

void SupervisorLink::HandleReadable() {
  for (int i = 0; i < kMessagesPerTurn; ++i) {
    FromSupervisor message;
    std::vector<UniqueFd> fds;
    const absl::StatusOr<bool> received = channel_.Receive(&message, &fds);
    if (absl::IsInvalidArgument(received.status())) {
      // The supervisor is trusted (S5), but a message this build does not know
      // must not end the system.
      LogWarning(absl::StrCat("supervisor: ", received.status().message()));
      continue;
    }
    if (!received.ok()) return Lose();
    if (!*received) return;
    Dispatch(std::move(message), std::move(fds));
  }
}

void SupervisorLink::Dispatch(FromSupervisor message,
                              std::vector<UniqueFd> fds) {
  switch (message.message_case()) {
    case FromSupervisor::kDied:
      return handlers_.died(message.died());
    case FromSupervisor::kState:
      return handlers_.state(message.state());
    case FromSupervisor::kRemoved:
      return handlers_.removed(message.removed().name());
    case FromSupervisor::kEvent:
      return handlers_.event(message.event());
    case FromSupervisor::kParked:
      return handlers_.parked(
          std::move(*message.mutable_parked()->mutable_key()),
          std::move(*message.mutable_parked()->mutable_state()),
          std::move(fds));
    case FromSupervisor::kRestored:
      return handlers_.restored(message.restored().platform_generation());
    case FromSupervisor::kRefused:
      return handlers_.refused(message.refused().name(),
                               message.refused().reason());
    case FromSupervisor::MESSAGE_NOT_SET:
      return;
  }
}

void SupervisorLink::Lose() {
  if (lost_) return;
  lost_ = true;
  queue_.clear();
  events_.clear();
  loop_.Unwatch(watch_);
  watch_ = 0;
  handlers_.lost();
}

}  // namespace bulkhead::platform
