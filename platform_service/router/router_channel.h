// The platform service's end of one generation's channel to the router. The
// router at the other end may be hostile.
#ifndef BULKHEAD_PLATFORM_SERVICE_ROUTER_ROUTER_CHANNEL_H_
#define BULKHEAD_PLATFORM_SERVICE_ROUTER_ROUTER_CHANNEL_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "base/seqpacket.h"
#include "base/unique_fd.h"
#include "nic_router/api/router.pb.h"
#include "platform_service/instances/rate_limit.h"

namespace bulkhead::platform {

// Guarantees: messages leave in order; while the router does not read, they
// queue here with descriptors of their own. `message` gets whole, parsed
// messages without descriptors. What is none of that (descriptors, garbage, a
// flood, a queue that is never read) comes as one `breach`, after which the
// channel is silent.
// Threading: the loop's thread. Handlers may not destroy the channel.
class RouterChannel {
 public:
  static constexpr int kMessagesPerTurn = 16;
  static constexpr uint32_t kBurst = 1024;
  static constexpr uint32_t kPerSecond = 200;
  // Each client takes one, and a reconfiguration a few.
  static constexpr size_t kMostQueued = 1024;

  struct Handlers {
    std::function<void(const nic_router::api::FromRouter&)> message;
    std::function<void(const std::string& reason)> breach;
  };

  static absl::StatusOr<std::unique_ptr<RouterChannel>> Create(
      EventLoop& loop, UniqueFd socket, Handlers handlers);
  ~RouterChannel();

  void Send(nic_router::api::ToRouter message, std::span<const int> fds = {});
  // No handler is called any more.
  void Silence();

  int fd() const { return channel_.fd(); }

 private:
  struct Outgoing {
    nic_router::api::ToRouter message;
    std::vector<UniqueFd> fds;
  };

  RouterChannel(EventLoop& loop, UniqueFd socket, Handlers handlers)
      : loop_(loop),
        channel_(std::move(socket)),
        handlers_(std::move(handlers)),
        rate_(kBurst, kPerSecond) {}

  void HandleReadable();
  void SendQueued();
  void Queue(nic_router::api::ToRouter message, std::span<const int> fds);
  void Breach(const std::string& reason);

  EventLoop& loop_;
  SeqpacketChannel channel_;
  Handlers handlers_;
  RateLimit rate_;
  EventLoop::WatchId watch_ = 0;
  std::deque<Outgoing> queue_;
  EventLoop::TimerId retry_ = 0;
  bool breached_ = false;
};

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_ROUTER_ROUTER_CHANNEL_H_
