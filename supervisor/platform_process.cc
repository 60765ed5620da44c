#include "supervisor/platform_process.h"

#include <chrono>
#include <csignal>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/errno_status.h"

namespace bulkhead::supervisor {
namespace {

// It may have to give devices back, each of which the kernel takes a reset for.
constexpr std::chrono::seconds kStopTimeout(15);
constexpr std::chrono::milliseconds kExitGrace(200);

}  // namespace

absl::StatusOr<std::unique_ptr<PlatformProcess>> PlatformProcess::Create(
    EventLoop& loop, Sandbox& sandbox, const std::string& program,
    std::vector<std::string> arguments, const std::string& log_directory,
    Callbacks callbacks) {
  ASSIGN_OR_RETURN(Program opened, Program::Open(program));
  ASSIGN_OR_RETURN(
      auto log,
      ChildLog::Create(absl::StrCat(log_directory, "/", kPlatformName, ".log"),
                       {}));
  return std::unique_ptr<PlatformProcess>(new PlatformProcess(
      loop, sandbox, std::move(opened), std::move(arguments), std::move(log),
      std::move(callbacks)));
}

PlatformProcess::PlatformProcess(EventLoop& loop, Sandbox& sandbox,
                                 Program program,
                                 std::vector<std::string> arguments,
                                 std::unique_ptr<ChildLog> log,
                                 Callbacks callbacks)
    : loop_(loop),
      sandbox_(sandbox),
      program_(std::move(program)),
      arguments_(std::move(arguments)),
      log_(std::move(log)),
      callbacks_(std::move(callbacks)),
      policy_(RestartPolicy::Limits{}) {}

void PlatformProcess::Start() {
  SpawnRequest request;
  request.program = &program_;
  request.arguments = arguments_;
  request.trusted = true;
  spawned_ns_ = MonotonicNs();
  kill_cause_.clear();
  auto process = LiveProcess::Spawn(
      loop_, request, sandbox_, log_.get(),
      {[] {},
       [this](int status, uint64_t) { HandleExit(DescribeExit(status)); }});
  if (!process.ok()) {
    HandleExit(std::string(process.status().message()));
    return;
  }
  process_ = *std::move(process);
  // PlatformLink watches the channel from here on.
  process_->IgnoreChannel();
  callbacks_.event("spawned", absl::StrCat("pid ", process_->pid()));
  callbacks_.spawned(std::move(process_->channel()));
}

void PlatformProcess::Kill(const std::string& cause) {
  if (process_ == nullptr || timer_ != 0) return;
  // Most often it is ending by itself, and its own exit status says more.
  timer_ = loop_.After(kExitGrace, [this, cause] {
    timer_ = 0;
    kill_cause_ = cause;
    process_->Kill();
  });
}

void PlatformProcess::Stop() {
  stopping_ = true;
  loop_.Cancel(std::exchange(timer_, 0));
  if (process_ == nullptr) {
    callbacks_.stopped();
    return;
  }
  (void)process_->Signal(SIGTERM);
  timer_ = loop_.After(kStopTimeout, [this] {
    timer_ = 0;
    if (process_ != nullptr) process_->Kill();
  });
}

void PlatformProcess::HandleExit(const std::string& exit) {
  const std::unique_ptr<LiveProcess> gone = std::move(process_);
  loop_.Cancel(std::exchange(timer_, 0));
  if (stopping_) {
    callbacks_.stopped();
    return;
  }
  const std::string cause =
      kill_cause_.empty() ? exit : absl::StrCat(kill_cause_, "; ", exit);
  callbacks_.event("died", cause);
  const RestartPolicy::Decision decision = policy_.AfterFailure(
      std::chrono::nanoseconds(MonotonicNs() - spawned_ns_));
  if (decision.park) {
    callbacks_.gave_up(absl::StrCat(
        "the platform service failed ", policy_.failures_in_a_row(),
        " times in a row; last: ", cause, "; its log says why"));
    return;
  }
  if (decision.backoff.count() > 0) {
    callbacks_.event("backoff", absl::StrCat(decision.backoff.count(), " ms"));
  }
  timer_ = loop_.After(decision.backoff, [this] {
    timer_ = 0;
    Start();
  });
}

}  // namespace bulkhead::supervisor
