// The platform service as a process: spawned, and restarted when it dies.
#ifndef BULKHEAD_SUPERVISOR_PLATFORM_PROCESS_H_
#define BULKHEAD_SUPERVISOR_PLATFORM_PROCESS_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/event_loop.h"
#include "base/seqpacket.h"
#include "supervisor/child_log.h"
#include "supervisor/live_process.h"
#include "supervisor/program.h"
#include "supervisor/restart_policy.h"

namespace bulkhead::supervisor {

constexpr char kPlatformName[] = "platform_service";

// Not sandboxed: it needs /proc, sysfs, sockets. It gets the same back-off as
// everybody, and no device dies with it.
class PlatformProcess {
 public:
  struct Callbacks {
    std::function<void(SeqpacketChannel)> spawned;
    std::function<void(absl::string_view kind, absl::string_view text)> event;
    std::function<void(const std::string& reason)> gave_up;
    std::function<void()> stopped;  // After Stop.
  };

  static absl::StatusOr<std::unique_ptr<PlatformProcess>> Create(
      EventLoop& loop, Sandbox& sandbox, const std::string& program,
      std::vector<std::string> arguments, const std::string& log_directory,
      Callbacks callbacks);
  ~PlatformProcess() { loop_.Cancel(timer_); }

  void Start();
  // It cannot be talked with any more: unless it ends by itself it is killed,
  // and a new one takes over.
  void Kill(const std::string& cause);
  // SIGTERM, and SIGKILL after fifteen seconds.
  void Stop();

  int pid() const { return process_ == nullptr ? 0 : process_->pid(); }

 private:
  PlatformProcess(EventLoop& loop, Sandbox& sandbox, Program program,
                  std::vector<std::string> arguments,
                  std::unique_ptr<ChildLog> log, Callbacks callbacks);
  void HandleExit(const std::string& exit);

  EventLoop& loop_;
  Sandbox& sandbox_;
  const Program program_;
  const std::vector<std::string> arguments_;
  const std::unique_ptr<ChildLog> log_;
  const Callbacks callbacks_;
  RestartPolicy policy_;
  std::unique_ptr<LiveProcess> process_;
  std::string kill_cause_;
  uint64_t spawned_ns_ = 0;
  bool stopping_ = false;
  EventLoop::TimerId timer_ = 0;  // Of the next start, of Kill, or of Stop.
};

}  // namespace bulkhead::supervisor

#endif  // BULKHEAD_SUPERVISOR_PLATFORM_PROCESS_H_
