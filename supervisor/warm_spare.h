// One more process of a program: spawned, sandboxed, Ready, and waiting to
// become the next generation.
#ifndef BULKHEAD_SUPERVISOR_WARM_SPARE_H_
#define BULKHEAD_SUPERVISOR_WARM_SPARE_H_

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/event_loop.h"
#include "supervisor/cpu_share.h"
#include "supervisor/heartbeat.h"
#include "supervisor/live_process.h"
#include "supervisor/restart_policy.h"

namespace bulkhead::supervisor {

// Guarantees: the death of a spare is never a failure of the instance; the next
// one comes after a back-off, without end. A spare that does not answer is
// replaced before it is needed.
class WarmSpare {
 public:
  struct Callbacks {
    std::function<absl::StatusOr<std::unique_ptr<LiveProcess>>(
        LiveProcess::Handlers)>
        spawn;
    std::function<void(absl::string_view kind, absl::string_view text)> event;
    std::function<void()> changed;
  };
  struct Taken {
    std::unique_ptr<LiveProcess> process;  // nullptr: there is none.
    bool ready = false;
    std::vector<std::string> not_applied;  // What Ready said.
  };

  WarmSpare(EventLoop& loop, const RestartPolicy::Limits& limits,
            Callbacks callbacks);
  ~WarmSpare();

  // Has one spawned after `delay`, if there is none.
  void Want(std::chrono::nanoseconds delay);
  // Kills it, and wants none any more.
  void Drop();
  // Gives the spare away; the caller sets its own handlers at once.
  Taken Take();

  bool ready() const { return ready_; }
  bool wanted() const { return process_ != nullptr || timer_ != 0; }

 private:
  void SpawnNow();
  void HandleReadable();
  void HandleTick();
  void Lose(const std::string& cause);
  void SetTimer(uint64_t deadline_ns, void (WarmSpare::*handler)());

  EventLoop& loop_;
  Callbacks callbacks_;
  RestartPolicy policy_;
  std::unique_ptr<LiveProcess> process_;
  bool ready_ = false;
  uint64_t ready_ns_ = 0;
  std::vector<std::string> not_applied_;
  std::optional<Heartbeat> heartbeat_;
  CpuShare cpu_share_;
  // Of the next spawn while there is no process, of the next ping while there
  // is one.
  EventLoop::TimerId timer_ = 0;
};

}  // namespace bulkhead::supervisor

#endif  // BULKHEAD_SUPERVISOR_WARM_SPARE_H_
