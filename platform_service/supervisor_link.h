// The platform service's end of its parent channel (descriptor 3): requests to
// the supervisor, facts from it.
#ifndef BULKHEAD_PLATFORM_SERVICE_SUPERVISOR_LINK_H_
#define BULKHEAD_PLATFORM_SERVICE_SUPERVISOR_LINK_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/event_loop.h"
#include "base/seqpacket.h"
#include "base/unique_fd.h"
#include "supervisor/api/supervisor.pb.h"

namespace bulkhead::platform {

// Guarantees:
//   - Requests arrive in the order of the calls and none is lost: while the
//     supervisor does not read, they queue here with descriptors of their own.
//   - Record costs the caller no system call: events leave at the end of the
//     loop's turn with the time at which they were recorded, so that a recovery
//     is not slowed by its own log.
// Requires: one thread, the loop's; `loop` outlives it.
class SupervisorLink {
 public:
  struct Handlers {
    std::function<void(const supervisor::FromSupervisor::Died&)> died;
    std::function<void(const supervisor::ProcessState&)> state;
    std::function<void(const std::string& name)> removed;
    std::function<void(const supervisor::Event&)> event;
    std::function<void(std::string key, std::string state,
                       std::vector<UniqueFd> fds)>
        parked;
    std::function<void(uint32_t platform_generation)> restored;
    std::function<void(const std::string& name, const std::string& reason)>
        refused;
    // The supervisor is gone: the end of everything (S5).
    std::function<void()> lost;
  };

  static absl::StatusOr<std::unique_ptr<SupervisorLink>> Create(
      EventLoop& loop, SeqpacketChannel channel, Handlers handlers);
  ~SupervisorLink();

  // `fds` stay the caller's.
  void Define(const supervisor::ProcessSpec& spec);
  void Remove(absl::string_view name);
  void Begin(absl::string_view name, std::string payload,
             std::span<const int> fds);
  void Signal(absl::string_view name, int number);
  void Restart(absl::string_view name);
  // There is work for it: if it hangs, that matters from now on.
  void Attend(absl::string_view name);
  void Breach(absl::string_view name, uint32_t generation,
              absl::string_view reason);
  void Park(absl::string_view key, std::string state, std::span<const int> fds);
  void Unpark(absl::string_view key);
  void ShutDown();

  // `time_ns` 0: now.
  void Record(absl::string_view process, uint32_t generation,
              absl::string_view kind, absl::string_view text,
              uint64_t time_ns = 0);
  // Sends what Record still keeps back.
  void FlushEvents();

 private:
  struct Outgoing {
    supervisor::ToSupervisor message;
    std::vector<UniqueFd> fds;
  };

  SupervisorLink(EventLoop& loop, SeqpacketChannel channel, Handlers handlers)
      : loop_(loop),
        channel_(std::move(channel)),
        handlers_(std::move(handlers)) {}

  void Send(supervisor::ToSupervisor message, std::span<const int> fds = {});
  void SendQueued();
  void HandleReadable();
  void Dispatch(supervisor::FromSupervisor message, std::vector<UniqueFd> fds);
  void Lose();

  EventLoop& loop_;
  SeqpacketChannel channel_;
  Handlers handlers_;
  EventLoop::WatchId watch_ = 0;
  std::deque<Outgoing> queue_;
  EventLoop::TimerId retry_ = 0;
  std::vector<supervisor::Event> events_;
  EventLoop::TimerId flush_ = 0;
  bool lost_ = false;
};

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_SUPERVISOR_LINK_H_
