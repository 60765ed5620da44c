// The router's channel to the platform service.
#ifndef BULKHEAD_NIC_ROUTER_PROCESS_PLATFORM_CHANNEL_H_
#define BULKHEAD_NIC_ROUTER_PROCESS_PLATFORM_CHANNEL_H_

#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "base/seqpacket.h"
#include "base/unique_fd.h"
#include "nic_router/api/router.pb.h"

namespace bulkhead::nic_router {

// Guarantees: messages leave in order and none is lost while the platform only
// is slow. The platform's death leaves the router at work: the next one takes
// the channel over.
// Threading: the loop's thread; `loop` outlives it.
class PlatformChannel {
 public:
  struct Handlers {
    // May not destroy the channel.
    std::function<void(api::ToRouter, std::vector<UniqueFd>)> request;
    std::function<void(absl::Status)> lost;
  };

  static absl::StatusOr<std::unique_ptr<PlatformChannel>> Create(
      EventLoop& loop, UniqueFd socket, Handlers handlers);
  ~PlatformChannel();

  void Send(api::FromRouter message);

 private:
  PlatformChannel(EventLoop& loop, UniqueFd socket, Handlers handlers)
      : loop_(loop),
        channel_(std::move(socket)),
        handlers_(std::move(handlers)) {}

  void HandleReadable();
  void SendQueued();
  void Lose(absl::Status why);

  EventLoop& loop_;
  SeqpacketChannel channel_;
  Handlers handlers_;
  EventLoop::WatchId watch_ = 0;
  EventLoop::TimerId retry_ = 0;
  std::deque<api::FromRouter> queued_;
  bool lost_ = false;
};

}  // namespace bulkhead::nic_router

#endif  // BULKHEAD_NIC_ROUTER_PROCESS_PLATFORM_CHANNEL_H_
