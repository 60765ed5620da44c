// One process that was spawned and not yet reaped.
#ifndef BULKHEAD_SUPERVISOR_LIVE_PROCESS_H_
#define BULKHEAD_SUPERVISOR_LIVE_PROCESS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "base/seqpacket.h"
#include "supervisor/child_log.h"
#include "supervisor/spawn.h"

namespace bulkhead::supervisor {

// "killed by signal 9 (Killed)", "exited with status 3".
std::string DescribeExit(int wait_status);

// Guarantees: `exited` is called exactly once, after the process was reaped and
// everything of its session killed; the handlers may destroy the object. A
// process whose object is destroyed earlier is killed and reaped then.
class LiveProcess {
 public:
  struct Handlers {
    // The channel has a message, or its end of file.
    std::function<void()> readable;
    std::function<void(int wait_status, uint64_t noticed_ns)> exited;
  };

  static absl::StatusOr<std::unique_ptr<LiveProcess>> Spawn(
      EventLoop& loop, const SpawnRequest& request, Sandbox& sandbox,
      ChildLog* log, Handlers handlers);
  ~LiveProcess();

  // A new owner takes it over (a spare becomes a generation).
  void SetHandlers(Handlers handlers) { handlers_ = std::move(handlers); }

  // To its whole process group.
  void Kill();
  // To the process itself. NotFound: it just died.
  absl::Status Signal(int number);
  // Looks at the channel no more (a peer that floods it).
  void IgnoreChannel();

  pid_t pid() const { return spawned_.pid; }
  SeqpacketChannel& channel() { return spawned_.channel; }
  const std::vector<std::string>& not_applied() const {
    return spawned_.not_applied;
  }

 private:
  LiveProcess(EventLoop& loop, Spawned spawned, Handlers handlers)
      : loop_(loop),
        spawned_(std::move(spawned)),
        handlers_(std::move(handlers)) {}
  void HandleExit();
  int Reap();

  EventLoop& loop_;
  Spawned spawned_;
  Handlers handlers_;
  std::unique_ptr<LogPipe> log_pipe_;
  EventLoop::WatchId exit_watch_ = 0;
  EventLoop::WatchId channel_watch_ = 0;
  bool reaped_ = false;
};

}  // namespace bulkhead::supervisor

#endif  // BULKHEAD_SUPERVISOR_LIVE_PROCESS_H_
