// The platform service's end of one generation's platform channel. The driver
// at the other end may be hostile.
#ifndef BULKHEAD_PLATFORM_SERVICE_INSTANCES_DRIVER_CHANNEL_H_
#define BULKHEAD_PLATFORM_SERVICE_INSTANCES_DRIVER_CHANNEL_H_

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "base/seqpacket.h"
#include "base/unique_fd.h"
#include "platform_service/api/driver.pb.h"
#include "platform_service/instances/rate_limit.h"

namespace bulkhead::platform {

// Guarantees: `message` gets whole, parsed messages without descriptors, at
// most kMessagesPerTurn of them in one turn of the loop. What is none of that
// (descriptors, garbage, more messages than anything honest sends, a queue that
// is not read) comes as one `breach`, after which the channel is silent.
// Threading: the loop's thread. Handlers may not destroy the channel.
class DriverChannel {
 public:
  static constexpr int kMessagesPerTurn = 16;
  // Attaching takes a dozen messages, and a link that flaps a few a second.
  static constexpr uint32_t kBurst = 256;
  static constexpr uint32_t kPerSecond = 100;

  struct Handlers {
    std::function<void(const FromDriver&)> message;
    std::function<void(const std::string& reason)> breach;
  };

  static absl::StatusOr<std::unique_ptr<DriverChannel>> Create(
      EventLoop& loop, UniqueFd socket, Handlers handlers);
  ~DriverChannel();

  void Send(const ToDriver& message, std::span<const int> fds = {});
  // No handler is called any more.
  void Silence();

  int fd() const { return channel_.fd(); }

 private:
  DriverChannel(EventLoop& loop, UniqueFd socket, Handlers handlers)
      : loop_(loop),
        channel_(std::move(socket)),
        handlers_(std::move(handlers)),
        rate_(kBurst, kPerSecond) {}

  void HandleReadable();
  void Breach(const std::string& reason);

  EventLoop& loop_;
  SeqpacketChannel channel_;
  Handlers handlers_;
  RateLimit rate_;
  EventLoop::WatchId watch_ = 0;
  bool breached_ = false;
};

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_INSTANCES_DRIVER_CHANNEL_H_
