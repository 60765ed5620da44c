// A driver's channel to the platform service: it asks for DMA and tells what
// happened to the NIC and its sessions; the platform opens and closes sessions
// and wants other configurations.
#ifndef BULKHEAD_NIC_DRIVER_FRAMEWORK_PLATFORM_CHANNEL_H_
#define BULKHEAD_NIC_DRIVER_FRAMEWORK_PLATFORM_CHANNEL_H_

#include <coroutine>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/event_loop.h"
#include "base/seqpacket.h"
#include "base/task.h"
#include "base/unique_fd.h"
#include "nic_driver/framework/driver.h"
#include "platform_service/api/driver.pb.h"

namespace bulkhead::nic_driver {

// Memory that came with the grant.
struct PreparedDma {
  uint64_t iova = 0;
  uint64_t bytes = 0;
  UniqueFd memory;
};

// Guarantees:
//   - Messages to the platform leave in order and none is lost while the
//     platform only is slow.
//   - The platform's death leaves the driver at work: what needs an answer
//     fails, the rest is dropped.
// Threading: the loop's thread; `loop` outlives it.
class PlatformChannel final : public DmaPlatform {
 public:
  struct Handlers {
    // OpenSession, CloseSession, Configure. May not destroy the channel.
    std::function<void(platform::ToDriver, std::vector<UniqueFd>)> request;
    // The platform is gone for good.
    std::function<void(absl::Status)> lost;
  };

  static absl::StatusOr<std::unique_ptr<PlatformChannel>> Create(
      EventLoop& loop, UniqueFd socket, std::vector<PreparedDma> prepared,
      Handlers handlers);
  ~PlatformChannel() override;

  // The first requests are met from the grant's areas of the same size, with no
  // round trip.
  Task<absl::StatusOr<DmaMemory>> AllocDma(size_t bytes) override;
  void FreeDma(DmaMemory memory) override;
  void RequestDma() override;
  Task<absl::Status> DmaEnabled() override;
  // Gives back the areas of the grant that nobody asked for.
  void FreeUnusedPrepared();

  void SayAttached(const NicFacts& facts);
  void SayLink(const LinkStatus& link);
  void SaySessionBroken(uint64_t session_id, absl::string_view reason);
  void SaySessionClosed(uint64_t session_id);
  void SayFirstFrame(uint64_t time_ns);

 private:
  struct Reply {
    absl::Status status;
    platform::DmaArea area;
    UniqueFd memory;
  };
  struct PendingReply {
    std::coroutine_handle<> waiter;
    std::optional<Reply> reply;
  };
  struct ReplyAwaiter;

  PlatformChannel(EventLoop& loop, SeqpacketChannel channel,
                  std::vector<PreparedDma> prepared, Handlers handlers)
      : loop_(loop),
        channel_(std::move(channel)),
        prepared_(std::move(prepared)),
        handlers_(std::move(handlers)) {}

  uint32_t NewRequest();
  ReplyAwaiter WaitFor(uint32_t request);
  void Send(platform::FromDriver message);
  void SendQueued();
  void HandleReadable();
  void HandleReply(platform::ToDriver& message, std::vector<UniqueFd>& fds);
  void Answer(uint32_t request, Reply reply);
  void Lose(absl::Status why);

  EventLoop& loop_;
  SeqpacketChannel channel_;
  std::vector<PreparedDma> prepared_;
  Handlers handlers_;
  EventLoop::WatchId watch_ = 0;
  EventLoop::TimerId retry_ = 0;
  std::deque<platform::FromDriver> queued_;
  std::map<uint32_t, PendingReply> pending_;
  uint32_t next_request_ = 1;
  uint32_t dma_request_ = 0;
  bool lost_ = false;
};

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_FRAMEWORK_PLATFORM_CHANNEL_H_
