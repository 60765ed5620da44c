// The root of trust: it starts every other process, and knows nothing of what
// they do.
#ifndef BULKHEAD_SUPERVISOR_SUPERVISOR_H_
#define BULKHEAD_SUPERVISOR_SUPERVISOR_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/event_loop.h"
#include "base/seqpacket.h"
#include "base/unique_fd.h"
#include "supervisor/api/supervisor.pb.h"
#include "supervisor/descriptor_store.h"
#include "supervisor/event_log.h"
#include "supervisor/platform_link.h"
#include "supervisor/process.h"
#include "supervisor/sandbox.h"

namespace bulkhead::supervisor {

// Carries out what the platform service asks for, and tells it what happened.
//
// Guarantees:
//   - While the platform service is away everything else goes on; the next one
//     is told, in this order: the parked entries, the state of each process,
//     the kept events, Restored, and each death that it must still answer.
//   - A request that cannot be carried out is Refused with the reason.
//   - No descriptor of a device or session stays here but the parked ones.
// Threading: everything on the loop's thread, which must be the process's only
// one.
class Supervisor {
 public:
  struct Options {
    std::string log_directory;
    DescriptorStore::Quota quota;
    // The platform service asked for the end of everything.
    std::function<void()> shut_down;
    // It cannot be talked with any more.
    std::function<void(const std::string& reason)> platform_lost;
  };

  Supervisor(EventLoop& loop, Options options);

  // A (new) platform service is there.
  absl::Status AttachPlatform(SeqpacketChannel channel);

  // Ends every process, orderly, and then calls `done`.
  void StopAll(std::function<void()> done);

  void Record(absl::string_view process, uint32_t generation,
              absl::string_view kind, absl::string_view text,
              uint64_t time_ns = 0);

  Sandbox& sandbox() { return sandbox_; }

 private:
  void HandleMessage(ToSupervisor message, std::vector<UniqueFd> fds);
  void HandlePlatformGone(const std::string& reason);
  void ForgetBegins();

  void Define(const ProcessSpec& spec);
  void Park(ToSupervisor::Park park, std::vector<UniqueFd> fds);
  void Refuse(const std::string& name, absl::string_view reason);
  // nullptr, and Refused, when there is none of that name.
  Process* Find(const std::string& name, absl::string_view verb);

  Process::Callbacks CallbacksFor(const std::string& name);
  void HandleDied(const FromSupervisor::Died& died);
  void HandleRemoved(const std::string& name);
  void SendState(const Process& process);
  void AddEvent(Event event);

  EventLoop& loop_;
  Options options_;
  Sandbox sandbox_;
  EventLog events_;
  DescriptorStore store_;
  PlatformLink link_;
  uint32_t platform_generation_ = 0;
  // By name. Deaths that no platform service has been told of.
  std::map<std::string, FromSupervisor::Died> untold_deaths_;
  std::map<std::string, std::unique_ptr<Process>> processes_;
  // Removed, and destroyed when their own handlers have returned.
  std::vector<std::unique_ptr<Process>> removed_;
  std::function<void()> all_stopped_;
};

}  // namespace bulkhead::supervisor

#endif  // BULKHEAD_SUPERVISOR_SUPERVISOR_H_
