#include "platform_service/process_life.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"

namespace bulkhead::platform {

using supervisor::ProcessState;

const char* PhaseName(ProcessLife::Phase phase) {
  constexpr const char* kNames[] = {"waiting", "granting", "attached",
                                    "recovering", "parked"};
  return kNames[static_cast<size_t>(phase)];
}

void ProcessLife::Record(absl::string_view kind, absl::string_view text) {
  link_.Record(name_, newest_generation(), kind, text);
}

void ProcessLife::Breach(const std::string& reason) {
  LogWarning(absl::StrCat(name_, ": breach: ", reason));
  link_.Breach(name_, begun_generation_, reason);
}

void ProcessLife::Define(const supervisor::ProcessSpec& spec) {
  phase_ = Phase::kWaiting;
  definition_ = Definition::kDefined;
  link_.Define(spec);
}

void ProcessLife::Restore(uint32_t generation, bool begun, bool attached) {
  definition_ = Definition::kDefined;
  restoring_ = true;
  generation_ = generation;
  dead_generation_ = begun ? generation - 1 : generation;
  begun_ = begun;
  if (!begun) return;
  begun_generation_ = generation;
  phase_ = attached ? Phase::kAttached : Phase::kGranting;
}

void ProcessLife::TryBegin() {
  if (definition_ != Definition::kDefined || begun_ || leaving_ ||
      phase_ == Phase::kParked || !owner_.IsReady()) {
    return;
  }
  owner_.BeginGeneration();
}

void ProcessLife::Begin(std::string payload, std::span<const int> fds) {
  begun_ = true;
  begun_generation_ = generation_ + 1;
  link_.Begin(name_, std::move(payload), fds);
  phase_ = Phase::kGranting;
}

void ProcessLife::Attached() {
  phase_ = Phase::kAttached;
  loop_.Cancel(std::exchange(attach_timer_, 0));
  reason_.clear();
}

void ProcessLife::ExpectAttached() {
  if (phase_ != Phase::kGranting || attach_timer_ != 0) return;
  attach_timer_ = loop_.After(std::chrono::seconds(kAttachSeconds), [this] {
    attach_timer_ = 0;
    if (phase_ != Phase::kGranting || !owner_.IsReady()) return;
    Breach(absl::StrCat("said that it has started, and not Attached within ",
                        kAttachSeconds, " s"));
  });
}

void ProcessLife::SetBack(const std::string& reason) {
  reason_ = reason;
  if (phase_ != Phase::kParked) phase_ = Phase::kRecovering;
}

void ProcessLife::Revoke() {
  if (process_phase_ == ProcessState::WAITING ||
      process_phase_ == ProcessState::BACKING_OFF) {
    // The grant waits there; the next one replaces it.
    begun_ = false;
    owner_.DropChannel();
  } else if (begun_ && !leaving_) {
    link_.Restart(name_);
  }
}

void ProcessLife::OnState(const ProcessState& state) {
  process_phase_ = state.phase();
  const bool restoring = std::exchange(restoring_, false);
  // Whether one has died while there was no platform service. It need not be
  // the one that we know of: the last platform service may have died between
  // its Begin and its Park.
  const bool died_unseen = restoring && state.generation() > dead_generation_;
  switch (state.phase()) {
    case ProcessState::STARTING:
    case ProcessState::RUNNING:
      return Meet(state);
    case ProcessState::WAITING:
    case ProcessState::BACKING_OFF:
      if (phase_ == Phase::kParked) phase_ = Phase::kWaiting;
      if (died_unseen) return Bury(state.generation(), state.reason());
      if (restoring) {
        // The supervisor forgot the Begin of a platform service that died.
        begun_ = false;
        generation_ = state.generation();
        owner_.DropChannel();
      }
      return TryBegin();
    case ProcessState::PARKED:
      phase_ = Phase::kParked;  // No Begin.
      if (died_unseen) Bury(state.generation(), state.reason());
      return EnterParked(state.reason());
    default:
      return;
  }
}

void ProcessLife::Meet(const ProcessState& state) {
  generation_ = state.generation();
  if (begun_ && begun_generation_ == generation_) {
    if (state.phase() == ProcessState::RUNNING) ExpectAttached();
    return owner_.MeetGeneration();
  }
  // Its channel was lost with the last platform service, or what it was granted
  // has gone since.
  if (!leaving_) link_.Restart(name_);
}

void ProcessLife::OnDied(const supervisor::FromSupervisor::Died& died) {
  if (died.parked()) phase_ = Phase::kParked;  // No Begin.
  Bury(died.generation(), died.cause());
  if (died.parked()) EnterParked(died.reason());
}

void ProcessLife::OnRefused(const std::string& reason) {
  // What follows a refused definition is refused as well, and says less.
  if (phase_ == Phase::kParked) return;
  reason_ = reason;
  if (process_phase_ != ProcessState::PHASE_UNSPECIFIED) return;
  definition_ = Definition::kRefused;
  EndGeneration();
  EnterParked(reason);
}

void ProcessLife::OnRemoved() {
  Bury(begun_ ? begun_generation_ : generation_ + 1, "removed");
  definition_ = Definition::kNone;
  leaving_ = false;
  generation_ = dead_generation_ = begun_generation_ = 0;
  process_phase_ = ProcessState::PHASE_UNSPECIFIED;
}

void ProcessLife::Bury(uint32_t generation, const std::string& cause) {
  if (generation <= dead_generation_) return;
  dead_generation_ = generation;
  generation_ = generation;
  EndGeneration();
  if (owner_.IsReady()) reason_ = cause;
  if (phase_ != Phase::kParked) phase_ = Phase::kRecovering;
  owner_.Recover();
}

void ProcessLife::EndGeneration() {
  begun_ = false;
  loop_.Cancel(std::exchange(attach_timer_, 0));
  owner_.EndGeneration();
}

void ProcessLife::EnterParked(const std::string& reason) {
  phase_ = Phase::kParked;
  reason_ = reason;
  owner_.ShowParked();
}

}  // namespace bulkhead::platform
