// What a process does while a generation of it lives, and what follows from its
// end. Its orders and its start are in process.cc.
#include <sys/wait.h>

#include <csignal>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "supervisor/child_words.h"
#include "supervisor/process.h"

namespace bulkhead::supervisor {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kStopTimeout(1000);
// Between the end of file on a child's channel and its pidfd.
constexpr milliseconds kExitAfterEndOfChannel(200);
// The next spare is spawned when the recovery it would disturb is over; at the
// first start there are many others yet to be started, which come first.
constexpr milliseconds kSpareDelay(5);
constexpr milliseconds kFirstSpareDelay(100);
// An honest child sends one Pong per tick, and Ready and Started once.
constexpr uint32_t kMaxMessagesPerTick = 64;
// Messages that a dead child may have left, among them its Failed.
constexpr int kMaxLastMessages = 8;

}  // namespace

// --- While it lives -------------------------------------------------------

void Process::HandleReadable() {
  FromChild message;
  std::vector<UniqueFd> fds;
  const absl::StatusOr<bool> received =
      current_->channel().Receive(&message, &fds, /*max_fds=*/0);
  if (absl::IsUnavailable(received.status())) {
    HandleEndOfChannel();
    return;
  }
  if (!received.ok()) {
    Kill("breach", absl::StrCat("breach: on its parent channel: ",
                                received.status().message()));
    return;
  }
  if (!*received) return;
  if (++messages_since_tick_ > kMaxMessagesPerTick) {
    Kill("breach", "breach: it floods its parent channel");
    return;
  }
  HandleMessage(message);
}

void Process::HandleMessage(const FromChild& message) {
  switch (message.message_case()) {
    case FromChild::kReady:
      HandleReady(message.ready());
      return;
    case FromChild::kStarted:
      HandleStarted();
      return;
    case FromChild::kPong:
      return HandlePong(message.pong());
    case FromChild::kFailed:
      failed_reason_ = Harmless(message.failed().reason(), kMaxReasonBytes);
      return;
    case FromChild::MESSAGE_NOT_SET:
      Kill("breach", "breach: an empty message on its parent channel");
      return;
  }
}

void Process::HandleReady(const FromChild::Ready& ready) {
  if (ready_) {
    Kill("breach", "breach: it said Ready twice");
    return;
  }
  ready_ = true;
  AddRemarks(ready.not_applied(), &not_applied_);
  Tell(generation_, "ready", "");
  if (phase_ != ProcessState::STARTING) return;
  if (const absl::Status status = SendStart(); !status.ok()) {
    Kill("killed", absl::StrCat("hand over the start: ", status.message()));
  }
}

void Process::HandleStarted() {
  if (!start_sent_ || started_ns_ != 0) {
    Kill("breach", "breach: it said Started twice, or before Start");
    return;
  }
  started_ns_ = MonotonicNs();
  loop_.Cancel(std::exchange(start_timer_, 0));
  if (phase_ != ProcessState::STARTING) return;
  Tell(generation_, "started", "");
  heartbeat_.emplace(Heartbeat::LimitsOf(spec_.heartbeat()), started_ns_,
                     static_cast<uint32_t>(current_->pid()));
  cpu_share_.Forget();
  ScheduleTick();
  Enter(ProcessState::RUNNING);
  if (spec_.warm_spare()) {
    spare_.Want(generation_ == 1 ? kFirstSpareDelay : kSpareDelay);
  }
}

void Process::HandleEndOfChannel() {
  // Usually the first sign of its death. If it is not, it is a breach: nobody
  // could stop or ask such a process.
  current_->IgnoreChannel();
  if (stop_timer_ != 0) return;
  stop_timer_ = loop_.After(kExitAfterEndOfChannel, [this] {
    stop_timer_ = 0;
    Kill("breach", "breach: it closed its parent channel");
  });
}

void Process::HandlePong(const FromChild::Pong& pong) {
  if (!heartbeat_.has_value()) return;
  const uint64_t now_ns = MonotonicNs();
  const bool starved = pong.work_waiting() && heartbeat_->stalls() &&
                       cpu_share_.AnyStarvedSinceLast(current_->pid(), now_ns);
  if (auto hang = heartbeat_->HandlePong(pong, now_ns, starved)) {
    Kill("hung", *hang);
    return;
  }
  ScheduleTick();
}

void Process::Attend() {
  if (!heartbeat_.has_value()) return;
  heartbeat_->Attend(MonotonicNs());
  ScheduleTick();
}

void Process::ScheduleTick() {
  if (tick_timer_ != 0 && tick_due_ns_ == heartbeat_->due_ns()) return;
  loop_.Cancel(tick_timer_);
  tick_due_ns_ = heartbeat_->due_ns();
  tick_timer_ = loop_.At(tick_due_ns_, [this] { HandleTick(); });
}

void Process::HandleTick() {
  tick_timer_ = 0;
  messages_since_tick_ = 0;
  const uint64_t now_ns = MonotonicNs();
  bool starved = false;
  if (heartbeat_->waits_for_answer()) {
    starved = cpu_share_.StarvedSinceLast(current_->pid(), now_ns);
  } else {
    cpu_share_.Forget();
  }
  if (auto hang = heartbeat_->Tick(now_ns, starved)) {
    Kill("hung", *hang);
    return;
  }
  ToChild message;
  message.mutable_ping()->set_number(heartbeat_->ping_number());
  // A full queue shows as a missing answer.
  (void)current_->channel().Send(message);
  ScheduleTick();
}

void Process::Kill(absl::string_view kind, const std::string& cause) {
  current_->IgnoreChannel();
  loop_.Cancel(std::exchange(tick_timer_, 0));
  if (!kill_cause_.empty()) return;
  kill_cause_ = cause;
  kill_noticed_ns_ = MonotonicNs();
  current_->Kill();
  Tell(generation_, kind, cause);
  if (kind != "killed") {
    Tell(generation_, "killed", absl::StrCat("pid ", current_->pid()));
  }
}

void Process::StopOrderly(Goal goal) {
  goal_ = goal;
  if (phase_ == ProcessState::STOPPING) return;
  CancelTimers();
  heartbeat_.reset();
  ToChild message;
  message.mutable_stop();
  // One that does not read is killed below.
  (void)current_->channel().Send(message);
  stop_timer_ = loop_.After(kStopTimeout, [this] {
    stop_timer_ = 0;
    Kill("killed",
         absl::StrCat("not stopped within ", kStopTimeout.count(), " ms"));
  });
  Enter(ProcessState::STOPPING);
}

void Process::CancelTimers() {
  loop_.Cancel(std::exchange(tick_timer_, 0));
  loop_.Cancel(std::exchange(start_timer_, 0));
  loop_.Cancel(std::exchange(stop_timer_, 0));
  loop_.Cancel(std::exchange(backoff_timer_, 0));
}

// --- Its end --------------------------------------------------------------

void Process::HandleExit(int wait_status, uint64_t noticed_ns) {
  // Destroyed at the end, which takes what is left in its log pipe: nothing of
  // that may delay the news.
  const std::unique_ptr<LiveProcess> gone = std::move(current_);
  FromChild message;
  std::vector<UniqueFd> fds;
  for (int i = 0; i < kMaxLastMessages && failed_reason_.empty(); ++i) {
    const auto received = gone->channel().Receive(&message, &fds, 0);
    if (!received.ok() || !*received) break;
    if (message.has_failed())
      failed_reason_ = Harmless(message.failed().reason(), kMaxReasonBytes);
  }
  Bury(CauseOf(wait_status),
       kill_cause_.empty() ? noticed_ns : kill_noticed_ns_);
}

std::string Process::CauseOf(int wait_status) const {
  if (goal_ != Goal::kRun) {
    return kill_cause_.empty()
               ? "stopped on request"
               : absl::StrCat("stopped on request; ", kill_cause_);
  }
  if (!kill_cause_.empty()) return kill_cause_;
  std::string cause = DescribeExit(wait_status);
  if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0) {
    absl::StrAppend(&cause, " although nobody asked");
  }
  if (WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGSYS) {
    absl::StrAppend(&cause, "; its log names the system call");
  }
  if (!failed_reason_.empty()) absl::StrAppend(&cause, ": ", failed_reason_);
  return cause;
}

void Process::Bury(const std::string& cause, uint64_t noticed_ns) {
  CancelTimers();
  heartbeat_.reset();
  begin_.reset();
  if (goal_ == Goal::kRemove) {
    Tell(generation_, "stopped", cause);
    callbacks_.removed();
    return;
  }
  reason_ = cause;
  RestartPolicy::Decision decision;
  if (goal_ == Goal::kRun) {
    const uint64_t ran_ns = started_ns_ == 0 ? 0 : noticed_ns - started_ns_;
    decision = policy_.AfterFailure(std::chrono::nanoseconds(ran_ns));
  }
  FromSupervisor::Died died;
  died.set_name(spec_.name());
  died.set_generation(generation_);
  died.set_cause(cause);
  died.set_noticed_ns(noticed_ns);
  died.set_backoff_ms(static_cast<uint32_t>(decision.backoff.count()));
  if (decision.park) {
    reason_ = absl::StrCat("failed ", policy_.failures_in_a_row(),
                           " times in a row; last: ", cause);
    died.set_parked(true);
    died.set_reason(reason_);
  }
  unanswered_death_ = died;
  // First of all the platform must make the device safe (S4).
  callbacks_.died(died);
  Tell(generation_, goal_ == Goal::kRun ? "died" : "stopped", cause,
       noticed_ns);
  AfterDeath(decision);
}

void Process::AfterDeath(const RestartPolicy::Decision& decision) {
  goal_ = Goal::kRun;
  if (decision.park) {
    spare_.Drop();
    Tell(generation_, "parked", reason_);
    log_->Note(absl::StrCat("parked: ", reason_));
    Enter(ProcessState::PARKED);
    return;
  }
  const bool wait = decision.backoff.count() > 0;
  if (wait) {
    Tell(generation_, "backoff", absl::StrCat(decision.backoff.count(), " ms"));
  }
  Enter(wait ? ProcessState::BACKING_OFF : ProcessState::WAITING);
  // Its successor is spawned while the platform makes the device safe; it holds
  // nothing of the device before Begin (S4).
  if (!wait && spec_.needs_payload()) spare_.Want(milliseconds(0));
  backoff_timer_ = loop_.After(decision.backoff, [this] {
    backoff_timer_ = 0;
    if (phase_ == ProcessState::BACKING_OFF) Enter(ProcessState::WAITING);
    TryStart();
  });
}

}  // namespace bulkhead::supervisor
