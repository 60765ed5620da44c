#include "supervisor/warm_spare.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "supervisor/child_words.h"

namespace bulkhead::supervisor {
namespace {

RestartPolicy::Limits WithoutParking(RestartPolicy::Limits limits) {
  limits.park_after = 0;
  return limits;
}

}  // namespace

WarmSpare::WarmSpare(EventLoop& loop, const RestartPolicy::Limits& limits,
                     Callbacks callbacks)
    : loop_(loop),
      callbacks_(std::move(callbacks)),
      policy_(WithoutParking(limits)) {}

WarmSpare::~WarmSpare() { loop_.Cancel(timer_); }

void WarmSpare::SetTimer(uint64_t deadline_ns, void (WarmSpare::*handler)()) {
  loop_.Cancel(timer_);
  timer_ = loop_.At(deadline_ns, [this, handler] {
    timer_ = 0;
    (this->*handler)();
  });
}

void WarmSpare::Want(std::chrono::nanoseconds delay) {
  if (!wanted()) SetTimer(MonotonicNs() + delay.count(), &WarmSpare::SpawnNow);
}

void WarmSpare::Drop() {
  loop_.Cancel(std::exchange(timer_, 0));
  ready_ = false;
  process_.reset();
}

WarmSpare::Taken WarmSpare::Take() {
  if (process_ == nullptr) {
    // The caller spawns one itself; a spare for later must be wanted anew.
    loop_.Cancel(std::exchange(timer_, 0));
    return {};
  }
  loop_.Cancel(std::exchange(timer_, 0));
  policy_.Reset();
  return {std::move(process_), std::exchange(ready_, false),
          std::move(not_applied_)};
}

void WarmSpare::SpawnNow() {
  auto process = callbacks_.spawn(
      {[this] { HandleReadable(); },
       [this](int status, uint64_t) { Lose(DescribeExit(status)); }});
  if (!process.ok()) {
    Lose(std::string(process.status().message()));
    return;
  }
  process_ = *std::move(process);
  not_applied_.clear();
  // A spare does no work: it rests nearly all its life.
  heartbeat_.emplace(Heartbeat::Limits{}, MonotonicNs(),
                     static_cast<uint32_t>(process_->pid()));
  cpu_share_.Forget();
  SetTimer(heartbeat_->due_ns(), &WarmSpare::HandleTick);
  callbacks_.event("spawned", absl::StrCat("spare, pid ", process_->pid()));
}

void WarmSpare::HandleReadable() {
  FromChild message;
  std::vector<UniqueFd> fds;
  const absl::StatusOr<bool> received =
      process_->channel().Receive(&message, &fds, /*max_fds=*/0);
  if (absl::IsUnavailable(received.status())) {
    // Its death follows; if not, the heartbeat sees to it.
    process_->IgnoreChannel();
    return;
  }
  if (!received.ok()) {
    Lose(absl::StrCat("breach: ", received.status().message()));
    return;
  }
  if (!*received) return;
  if (message.has_pong()) {
    heartbeat_->HandlePong(message.pong(), MonotonicNs());
    SetTimer(heartbeat_->due_ns(), &WarmSpare::HandleTick);
  } else if (message.has_failed()) {
    callbacks_.event("died",
                     absl::StrCat("spare: ", Harmless(message.failed().reason(),
                                                      kMaxReasonBytes)));
  } else if (message.has_ready() && !ready_) {
    ready_ = true;
    ready_ns_ = MonotonicNs();
    AddRemarks(message.ready().not_applied(), &not_applied_);
    callbacks_.event("spare_ready", absl::StrCat("pid ", process_->pid()));
    callbacks_.changed();
  } else {
    Lose("breach: a spare may say nothing but Ready once and Pong");
  }
}

void WarmSpare::HandleTick() {
  const uint64_t now_ns = MonotonicNs();
  const bool starved = heartbeat_->waits_for_answer() &&
                       cpu_share_.StarvedSinceLast(process_->pid(), now_ns);
  const auto hang = heartbeat_->Tick(now_ns, starved);
  if (hang.has_value()) {
    Lose(*hang);
    return;
  }
  ToChild message;
  message.mutable_ping()->set_number(heartbeat_->ping_number());
  // A full queue shows as a missing answer.
  (void)process_->channel().Send(message);
  SetTimer(heartbeat_->due_ns(), &WarmSpare::HandleTick);
}

void WarmSpare::Lose(const std::string& cause) {
  const std::unique_ptr<LiveProcess> gone = std::move(process_);
  const bool was_ready = std::exchange(ready_, false);
  const std::chrono::nanoseconds lived(was_ready ? MonotonicNs() - ready_ns_
                                                 : 0);
  const RestartPolicy::Decision decision = policy_.AfterFailure(lived);
  callbacks_.event("died", absl::StrCat("spare: ", cause));
  SetTimer(MonotonicNs() + std::chrono::nanoseconds(decision.backoff).count(),
           &WarmSpare::SpawnNow);
  if (was_ready) callbacks_.changed();
}

}  // namespace bulkhead::supervisor
