// One defined process through all its generations.
#ifndef BULKHEAD_SUPERVISOR_PROCESS_H_
#define BULKHEAD_SUPERVISOR_PROCESS_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"
#include "supervisor/api/supervisor.pb.h"
#include "supervisor/child_log.h"
#include "supervisor/cpu_share.h"
#include "supervisor/heartbeat.h"
#include "supervisor/live_process.h"
#include "supervisor/program.h"
#include "supervisor/restart_policy.h"
#include "supervisor/sandbox.h"
#include "supervisor/warm_spare.h"

namespace bulkhead::supervisor {

//            Begin                    Started
//   WAITING ───────▶ STARTING ───────────────────▶ RUNNING
//      ▲                │ death                       │ death
//      │   time over    ▼                             │
//      └────────── BACKING_OFF ◀──────────────────────┤
//      └────────── PARKED ◀──── too many in a row ────┤
//        Restart                                      │ Remove, Restart
//                                   STOPPING ◀────────┘
//
// (a process without payload needs no Begin.)
//
// Guarantees:
//   - Only this process is touched by what happens to it (S5).
//   - Each generation that ended is told by exactly one `died`, after it was
//     reaped; the next one starts when both its Begin and the back-off time
//     have come.
//   - Descriptors of a Begin are closed here once they went to the child.
class Process {
 public:
  struct Callbacks {
    std::function<void(const FromSupervisor::Died&)> died;
    std::function<void()> changed;  // State() is new.
    std::function<void()> removed;  // May destroy the object.
    // `time_ns` 0: now.
    std::function<void(uint32_t generation, absl::string_view kind,
                       absl::string_view text, uint64_t time_ns)>
        event;
    std::function<void(absl::string_view reason)> refused;
  };

  // Opens the program and the log, and has the spare spawned. The status says
  // what is wrong with `spec`.
  static absl::StatusOr<std::unique_ptr<Process>> Create(
      EventLoop& loop, Sandbox& sandbox, const ProcessSpec& spec,
      const std::string& log_directory, Callbacks callbacks);
  ~Process();

  void Begin(std::string payload, std::vector<UniqueFd> fds);
  // The platform service that sent it is gone: a Begin that still waits for
  // its time counts no more, and the next one is told of the death again.
  void ForgetBegin();
  void Signal(int number);
  void Restart();
  void Breach(uint32_t generation, const std::string& reason);
  // There is work for it; see heartbeat.h.
  void Attend();
  void Remove();

  ProcessState State() const;
  const ProcessSpec& spec() const { return spec_; }
  // The last death, until the next generation starts.
  const std::optional<FromSupervisor::Died>& unanswered_death() const {
    return unanswered_death_;
  }

 private:
  void Tell(uint32_t generation, absl::string_view kind, absl::string_view text,
            uint64_t time_ns = 0) {
    callbacks_.event(generation, kind, text, time_ns);
  }
  enum class Goal : uint8_t { kRun, kRestart, kRemove };
  struct BeginOrder {
    std::string payload;
    std::vector<UniqueFd> fds;
  };

  Process(EventLoop& loop, Sandbox& sandbox, const ProcessSpec& spec,
          Program program, std::unique_ptr<ChildLog> log, Callbacks callbacks);
  absl::StatusOr<std::unique_ptr<LiveProcess>> Spawn(
      LiveProcess::Handlers handlers);
  LiveProcess::Handlers OwnHandlers();
  void Enter(ProcessState::Phase phase);

  // Starting.
  void TryStart();
  bool TakeSpare();
  void SpawnCold();
  absl::Status SendStart();
  void HandleStartTimeout();

  // While it lives.
  void HandleReadable();
  void HandleMessage(const FromChild& message);
  void HandleReady(const FromChild::Ready& ready);
  void HandleStarted();
  void HandleEndOfChannel();
  void HandlePong(const FromChild::Pong& pong);
  void ScheduleTick();
  void HandleTick();
  void Kill(absl::string_view kind, const std::string& cause);
  void StopOrderly(Goal goal);

  // Its end.
  void HandleExit(int wait_status, uint64_t noticed_ns);
  std::string CauseOf(int wait_status) const;
  void Bury(const std::string& cause, uint64_t noticed_ns);
  void AfterDeath(const RestartPolicy::Decision& decision);
  void CancelTimers();

  EventLoop& loop_;
  Sandbox& sandbox_;
  const ProcessSpec spec_;
  const Program program_;
  const SandboxLimits limits_;
  const std::unique_ptr<ChildLog> log_;
  const Callbacks callbacks_;
  RestartPolicy policy_;
  WarmSpare spare_;

  ProcessState::Phase phase_ = ProcessState::WAITING;
  uint64_t phase_since_ns_;
  Goal goal_ = Goal::kRun;
  uint32_t generation_ = 0;
  std::string reason_;
  std::vector<std::string> not_applied_;
  std::optional<BeginOrder> begin_;
  std::optional<FromSupervisor::Died> unanswered_death_;

  // Of the living generation.
  std::unique_ptr<LiveProcess> current_;
  bool ready_ = false;
  bool start_sent_ = false;
  uint64_t started_ns_ = 0;  // 0: it never said Started.
  std::string kill_cause_;   // Why the supervisor killed it.
  uint64_t kill_noticed_ns_ = 0;
  std::string failed_reason_;  // What it said itself.
  std::optional<Heartbeat> heartbeat_;
  CpuShare cpu_share_;  // Asked only of one that is in trouble.
  uint32_t messages_since_tick_ = 0;

  EventLoop::TimerId tick_timer_ = 0;
  uint64_t tick_due_ns_ = 0;
  EventLoop::TimerId start_timer_ = 0;
  EventLoop::TimerId stop_timer_ = 0;  // And of a channel closed too early.
  EventLoop::TimerId backoff_timer_ = 0;
};

// Whether `name` may name a process: it becomes a file name.
bool IsProcessName(absl::string_view name);

}  // namespace bulkhead::supervisor

#endif  // BULKHEAD_SUPERVISOR_PROCESS_H_
