// The supervisor's end of the channel to the platform service.
#ifndef BULKHEAD_SUPERVISOR_PLATFORM_LINK_H_
#define BULKHEAD_SUPERVISOR_PLATFORM_LINK_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/event_loop.h"
#include "base/seqpacket.h"
#include "base/unique_fd.h"
#include "supervisor/api/supervisor.pb.h"
#include "supervisor/descriptor_store.h"

namespace bulkhead::supervisor {

// Guarantees: messages arrive in the order of Send; none is lost while the
// platform service lives; a platform service that stops reading costs at most
// kMaxQueued messages of memory and is then given up (`gone`).
class PlatformLink {
 public:
  static constexpr size_t kMaxQueued = 65'536;

  struct Handlers {
    std::function<void(ToSupervisor, std::vector<UniqueFd>)> message;
    // The channel is closed, with the reason; it may be attached anew.
    std::function<void(const std::string& reason)> gone;
  };

  PlatformLink(EventLoop& loop, Handlers handlers)
      : loop_(loop), handlers_(std::move(handlers)) {}
  ~PlatformLink() { Detach(); }

  absl::Status Attach(SeqpacketChannel channel);
  // Hands on what a platform service said before its end.
  void Drain();
  void Detach();
  bool attached() const { return channel_.valid(); }

  // Without a platform service the message is dropped: the next one is told
  // everything anew. `parked` lends its descriptors.
  void Send(FromSupervisor message,
            std::shared_ptr<const DescriptorStore::Entry> parked = nullptr);

 private:
  struct Queued {
    FromSupervisor message;
    std::shared_ptr<const DescriptorStore::Entry> parked;
  };

  void HandleReadable();
  void Flush();
  absl::Status SendNow(const Queued& queued);
  void GiveUp(const std::string& reason);

  EventLoop& loop_;
  Handlers handlers_;
  SeqpacketChannel channel_;
  EventLoop::WatchId watch_ = 0;
  EventLoop::TimerId retry_timer_ = 0;
  std::deque<Queued> queue_;
};

}  // namespace bulkhead::supervisor

#endif  // BULKHEAD_SUPERVISOR_PLATFORM_LINK_H_
