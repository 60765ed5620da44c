// What the device dropped because a receiver had no buffer: it says so only
// when it is asked, and is asked only while that can be.
#ifndef BULKHEAD_NIC_DRIVER_VIRTIO_NET_DROP_WATCH_H_
#define BULKHEAD_NIC_DRIVER_VIRTIO_NET_DROP_WATCH_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"

namespace bulkhead::nic_driver::virtio_net {

// Threading: the loop's thread, but for Starved.
class DropWatch {
 public:
  // `loop` outlives it. `starving`: a receiver has no buffer. `ask` sends the
  // question.
  static absl::StatusOr<std::unique_ptr<DropWatch>> Create(
      EventLoop& loop, std::function<bool()> starving,
      std::function<void()> ask);
  ~DropWatch();

  // A receiver was left without buffers. From any thread; costs a system call
  // when it was not known, which is at most ten times a second.
  void Starved();

  void Start();
  void Stop();
  // How many the device has counted. The first answer after Start is where
  // counting begins: whether a reset clears its counters is the device's
  // affair.
  void Answer(uint64_t drops);
  // Those that were not told yet.
  uint64_t Take() { return std::exchange(untold_, 0); }
  // Drops may have come that were not asked about yet.
  bool watching() const { return watching_; }
  bool has_news() const { return untold_ > 0; }

 private:
  DropWatch(EventLoop& loop, UniqueFd bell, std::function<bool()> starving,
            std::function<void()> ask)
      : loop_(loop),
        bell_(std::move(bell)),
        starving_(std::move(starving)),
        ask_(std::move(ask)) {}

  void Begin();
  void AskLater();

  EventLoop& loop_;
  const UniqueFd bell_;
  const std::function<bool()> starving_;
  const std::function<void()> ask_;
  std::atomic<bool> watching_ = false;
  bool started_ = false;
  uint64_t seen_ = 0;
  bool known_ = false;
  uint64_t untold_ = 0;
  EventLoop::WatchId watch_ = 0;
  EventLoop::TimerId timer_ = 0;
  uint32_t interval_ms_ = 0;
};

}  // namespace bulkhead::nic_driver::virtio_net

#endif  // BULKHEAD_NIC_DRIVER_VIRTIO_NET_DROP_WATCH_H_
