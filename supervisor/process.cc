#include "supervisor/process.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/errno_status.h"

namespace bulkhead::supervisor {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kDefaultStartTimeout(5000);
constexpr size_t kMaxNameBytes = 64;

milliseconds StartTimeout(const ProcessSpec& spec) {
  return spec.start_timeout_ms() == 0 ? kDefaultStartTimeout
                                      : milliseconds(spec.start_timeout_ms());
}

}  // namespace

bool IsProcessName(absl::string_view name) {
  return !name.empty() && name.size() <= kMaxNameBytes && name[0] != '.' &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return std::isalnum(c) || c == '_' || c == '-' || c == '.';
         });
}

absl::StatusOr<std::unique_ptr<Process>> Process::Create(
    EventLoop& loop, Sandbox& sandbox, const ProcessSpec& spec,
    const std::string& log_directory, Callbacks callbacks) {
  if (!IsProcessName(spec.name())) {
    return absl::InvalidArgumentError(
        "define a process: its name must be 1 to 64 of a-z A-Z 0-9 _ - . and "
        "not begin with a dot");
  }
  ASSIGN_OR_RETURN(Program program, Program::Open(spec.program()));
  ASSIGN_OR_RETURN(
      auto log, ChildLog::Create(
                    absl::StrCat(log_directory, "/", spec.name(), ".log"), {}));
  std::unique_ptr<Process> process(
      new Process(loop, sandbox, spec, std::move(program), std::move(log),
                  std::move(callbacks)));
  // Its first process, too, is made while its payload is: a driver's while its
  // NIC comes up.
  if (spec.warm_spare() || spec.needs_payload()) {
    process->spare_.Want(milliseconds(0));
  }
  if (!spec.needs_payload()) {
    // Not before the owner has noted the object.
    process->backoff_timer_ = loop.After(
        milliseconds(0), [self = process.get()] { self->TryStart(); });
  }
  return process;
}

Process::Process(EventLoop& loop, Sandbox& sandbox, const ProcessSpec& spec,
                 Program program, std::unique_ptr<ChildLog> log,
                 Callbacks callbacks)
    : loop_(loop),
      sandbox_(sandbox),
      spec_(spec),
      program_(std::move(program)),
      limits_(LimitsOf(spec)),
      log_(std::move(log)),
      callbacks_(std::move(callbacks)),
      policy_(RestartPolicy::LimitsOf(spec.restart())),
      spare_(loop, RestartPolicy::LimitsOf(spec.restart()),
             {[this](LiveProcess::Handlers handlers) {
                return Spawn(std::move(handlers));
              },
              [this](absl::string_view kind, absl::string_view text) {
                Tell(0, kind, text);
              },
              [this] { callbacks_.changed(); }}),
      phase_since_ns_(MonotonicNs()) {}

Process::~Process() { CancelTimers(); }

absl::StatusOr<std::unique_ptr<LiveProcess>> Process::Spawn(
    LiveProcess::Handlers handlers) {
  SpawnRequest request;
  request.program = &program_;
  request.arguments.assign(spec_.arguments().begin(), spec_.arguments().end());
  request.limits = limits_;
  ASSIGN_OR_RETURN(auto process,
                   LiveProcess::Spawn(loop_, request, sandbox_, log_.get(),
                                      std::move(handlers)));
  not_applied_ = process->not_applied();
  return process;
}

LiveProcess::Handlers Process::OwnHandlers() {
  return {[this] { HandleReadable(); },
          [this](int status, uint64_t noticed_ns) {
            HandleExit(status, noticed_ns);
          }};
}

void Process::Enter(ProcessState::Phase phase) {
  phase_ = phase;
  phase_since_ns_ = MonotonicNs();
  callbacks_.changed();
}

// --- Orders ---------------------------------------------------------------

void Process::Begin(std::string payload, std::vector<UniqueFd> fds) {
  if (phase_ != ProcessState::WAITING && phase_ != ProcessState::BACKING_OFF) {
    callbacks_.refused(
        absl::StrCat("begin ", spec_.name(), ": it is ",
                     phase_ == ProcessState::PARKED
                         ? "parked; restart it first"
                         : "running or stopping; wait until it has died"));
    return;
  }
  begin_ = BeginOrder{std::move(payload), std::move(fds)};
  TryStart();
}

void Process::ForgetBegin() {
  if (phase_ == ProcessState::BACKING_OFF) begin_.reset();
}

void Process::Signal(int number) {
  if (current_ == nullptr) {
    callbacks_.refused(absl::StrCat("signal ", spec_.name(),
                                    ": no generation of it is running"));
    return;
  }
  if (const absl::Status status = current_->Signal(number); !status.ok()) {
    callbacks_.refused(
        absl::StrCat("signal ", spec_.name(), ": ", status.message()));
    return;
  }
  Tell(generation_, "signal", absl::StrCat("signal ", number, " on request"));
}

void Process::Restart() {
  policy_.Reset();
  switch (phase_) {
    case ProcessState::STARTING:
    case ProcessState::RUNNING:
      StopOrderly(Goal::kRestart);
      return;
    case ProcessState::PARKED: {
      FromSupervisor::Died died;
      died.set_name(spec_.name());
      died.set_generation(generation_);
      died.set_cause("parked; brought back on request");
      died.set_noticed_ns(MonotonicNs());
      unanswered_death_ = died;
      Enter(ProcessState::WAITING);
      callbacks_.died(died);
      if (spec_.warm_spare()) spare_.Want(milliseconds(0));
      break;
    }
    case ProcessState::BACKING_OFF:
      loop_.Cancel(std::exchange(backoff_timer_, 0));
      Enter(ProcessState::WAITING);
      break;
    default:
      return;
  }
  TryStart();
}

void Process::Breach(uint32_t generation, const std::string& reason) {
  // An accusation may cross the death of the accused.
  if (current_ == nullptr || generation != generation_) return;
  Kill("breach", absl::StrCat("breach: ", reason));
}

void Process::Remove() {
  spare_.Drop();
  begin_.reset();
  if (current_ != nullptr) {
    StopOrderly(Goal::kRemove);
    return;
  }
  CancelTimers();
  callbacks_.removed();
}

ProcessState Process::State() const {
  ProcessState state;
  state.set_name(spec_.name());
  state.set_phase(phase_);
  state.set_generation(generation_);
  state.set_pid(current_ == nullptr ? 0 : current_->pid());
  state.set_failures_in_a_row(policy_.failures_in_a_row());
  state.set_restarts(generation_ > 1 ? generation_ - 1 : 0);
  state.set_reason(reason_);
  state.set_phase_since_ns(phase_since_ns_);
  for (const std::string& line : not_applied_) state.add_not_applied(line);
  state.set_spare_ready(spare_.ready());
  return state;
}

// --- Starting -------------------------------------------------------------

void Process::TryStart() {
  if (phase_ != ProcessState::WAITING || current_ != nullptr) return;
  if (spec_.needs_payload() && !begin_.has_value()) return;
  ++generation_;
  goal_ = Goal::kRun;
  ready_ = start_sent_ = false;
  started_ns_ = 0;
  kill_cause_.clear();
  failed_reason_.clear();
  messages_since_tick_ = 0;
  unanswered_death_.reset();

  if (!TakeSpare()) SpawnCold();
  if (current_ == nullptr) return;
  start_timer_ =
      loop_.After(StartTimeout(spec_), [this] { HandleStartTimeout(); });
  Enter(ProcessState::STARTING);
}

// The short way: one message to a process that has been waiting for it.
bool Process::TakeSpare() {
  WarmSpare::Taken spare = spare_.Take();
  if (spare.process == nullptr) return false;
  current_ = std::move(spare.process);
  current_->SetHandlers(OwnHandlers());
  not_applied_ = current_->not_applied();
  not_applied_.insert(not_applied_.end(), spare.not_applied.begin(),
                      spare.not_applied.end());
  if (!spare.ready) return true;  // Start goes out with its Ready.
  ready_ = true;
  if (SendStart().ok()) return true;
  // It died unnoticed: spares cost no generation.
  current_.reset();
  ready_ = start_sent_ = false;
  return false;
}

void Process::SpawnCold() {
  auto spawned = Spawn(OwnHandlers());
  if (!spawned.ok()) {
    Bury(std::string(spawned.status().message()), MonotonicNs());
    return;
  }
  current_ = *std::move(spawned);
  Tell(generation_, "spawned", absl::StrCat("pid ", current_->pid()));
}

absl::Status Process::SendStart() {
  ToChild message;
  ToChild::Start* start = message.mutable_start();
  start->set_name(spec_.name());
  start->set_generation(generation_);
  std::vector<int> fds;
  if (begin_.has_value()) {
    start->set_payload(begin_->payload);
    for (const UniqueFd& fd : begin_->fds) fds.push_back(fd.get());
  }
  RETURN_IF_ERROR(current_->channel().Send(message, fds));
  start_sent_ = true;
  begin_.reset();
  Tell(generation_, "handed_over",
       absl::StrCat("pid ", current_->pid(), ", ", fds.size(), " descriptors"));
  return absl::OkStatus();
}

void Process::HandleStartTimeout() {
  start_timer_ = 0;
  Kill("hung", absl::StrCat("hung: not ", ready_ ? "started" : "ready",
                            " within ", StartTimeout(spec_).count(), " ms"));
}

}  // namespace bulkhead::supervisor
