#include "nic_driver/framework/platform_channel.h"

#include <sys/epoll.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/log.h"
#include "nic_driver/framework/task_status.h"

namespace bulkhead::nic_driver {
namespace {

// How long to wait for a platform service whose queue is full.
constexpr std::chrono::milliseconds kRetry{2};

absl::StatusOr<DmaMemory> MapArea(uint64_t iova, uint64_t bytes, int memory) {
  ASSIGN_OR_RETURN(Mapping mapping,
                   Mapping::MapSealed(memory, bytes, Access::kReadWrite));
  return DmaMemory(std::move(mapping), iova);
}

}  // namespace

// Waits until the reply of `request` has come.
struct PlatformChannel::ReplyAwaiter {
  PlatformChannel* channel;
  uint32_t request;

  bool await_ready() const {
    return channel->pending_[request].reply.has_value();
  }
  void await_suspend(std::coroutine_handle<> waiter) {
    channel->pending_[request].waiter = waiter;
  }
  Reply await_resume() {
    Reply reply = std::move(*channel->pending_[request].reply);
    channel->pending_.erase(request);
    return reply;
  }
};

absl::StatusOr<std::unique_ptr<PlatformChannel>> PlatformChannel::Create(
    EventLoop& loop, UniqueFd socket, std::vector<PreparedDma> prepared,
    Handlers handlers) {
  std::unique_ptr<PlatformChannel> channel(
      new PlatformChannel(loop, SeqpacketChannel(std::move(socket)),
                          std::move(prepared), std::move(handlers)));
  PlatformChannel* self = channel.get();
  ASSIGN_OR_RETURN(self->watch_,
                   loop.Watch(self->channel_.fd(), EPOLLIN,
                              [self](uint32_t) { self->HandleReadable(); }));
  return channel;
}

PlatformChannel::~PlatformChannel() {
  loop_.Unwatch(watch_);
  loop_.Cancel(retry_);
}

Task<absl::StatusOr<DmaMemory>> PlatformChannel::AllocDma(size_t bytes) {
  const auto ready =
      std::find_if(prepared_.begin(), prepared_.end(),
                   [bytes](const PreparedDma& p) { return p.bytes == bytes; });
  if (ready != prepared_.end()) {
    const PreparedDma area = std::move(*ready);
    prepared_.erase(ready);
    co_return MapArea(area.iova, area.bytes, area.memory.get());
  }
  const uint32_t request = NewRequest();
  platform::FromDriver message;
  message.mutable_alloc_dma()->set_request(request);
  message.mutable_alloc_dma()->set_bytes(bytes);
  Send(std::move(message));
  const Reply reply = co_await WaitFor(request);
  CO_RETURN_IF_ERROR(reply.status);
  if (!reply.memory.valid() || reply.area.bytes() != bytes) {
    co_return absl::DataLossError(
        absl::StrCat("allocate ", bytes,
                     " bytes of ring memory: the platform "
                     "service granted something else"));
  }
  co_return MapArea(reply.area.iova(), bytes, reply.memory.get());
}

void PlatformChannel::FreeDma(DmaMemory memory) {
  if (!memory.valid()) return;
  platform::FromDriver message;
  message.mutable_free_dma()->set_iova(memory.iova());
  Send(std::move(message));
}

void PlatformChannel::RequestDma() {
  dma_request_ = NewRequest();
  platform::FromDriver message;
  message.mutable_enable_dma()->set_request(dma_request_);
  Send(std::move(message));
}

Task<absl::Status> PlatformChannel::DmaEnabled() {
  if (!pending_.contains(dma_request_)) RequestDma();
  const Reply reply = co_await WaitFor(dma_request_);
  co_return reply.status;
}

void PlatformChannel::FreeUnusedPrepared() {
  for (const PreparedDma& area : prepared_) {
    platform::FromDriver message;
    message.mutable_free_dma()->set_iova(area.iova);
    Send(std::move(message));
  }
  prepared_.clear();
}

void PlatformChannel::SayAttached(const NicFacts& facts) {
  platform::FromDriver message;
  auto* attached = message.mutable_attached();
  attached->set_mac(std::string(facts.mac.begin(), facts.mac.end()));
  attached->set_max_mtu(facts.max_mtu);
  attached->set_offloads(facts.offloads);
  attached->set_queues(facts.queues);
  Send(std::move(message));
}

void PlatformChannel::SayLink(const LinkStatus& link) {
  platform::FromDriver message;
  message.mutable_link()->set_up(link.up);
  message.mutable_link()->set_speed_mbps(link.speed_mbps);
  message.mutable_link()->set_full_duplex(link.full_duplex);
  Send(std::move(message));
}

void PlatformChannel::SaySessionBroken(uint64_t session_id,
                                       absl::string_view reason) {
  platform::FromDriver message;
  message.mutable_session_broken()->set_session_id(session_id);
  message.mutable_session_broken()->set_reason(std::string(reason));
  Send(std::move(message));
}

void PlatformChannel::SaySessionClosed(uint64_t session_id) {
  platform::FromDriver message;
  message.mutable_session_closed()->set_session_id(session_id);
  Send(std::move(message));
}

void PlatformChannel::SayFirstFrame(uint64_t time_ns) {
  platform::FromDriver message;
  message.mutable_first_frame()->set_time_ns(time_ns);
  Send(std::move(message));
}

uint32_t PlatformChannel::NewRequest() {
  const uint32_t request = next_request_++;
  pending_[request];
  if (lost_) {
    pending_[request].reply =
        Reply{absl::UnavailableError("the platform service is gone"), {}, {}};
  }
  return request;
}

PlatformChannel::ReplyAwaiter PlatformChannel::WaitFor(uint32_t request) {
  return {this, request};
}

void PlatformChannel::Send(platform::FromDriver message) {
  if (lost_) return;
  queued_.push_back(std::move(message));
  if (queued_.size() == 1) SendQueued();
}

void PlatformChannel::SendQueued() {
  while (!lost_ && !queued_.empty()) {
    const absl::Status status = channel_.Send(queued_.front());
    if (absl::IsResourceExhausted(status)) {
      retry_ = loop_.After(kRetry, [this] { SendQueued(); });
      return;
    }
    // That the peer closed is for HandleReadable to notice, which first takes
    // what it said before.
    if (!status.ok() && !absl::IsUnavailable(status)) {
      LogError(absl::StrCat("platform channel: ", status.message()));
    }
    queued_.pop_front();
  }
}

// One message per turn of the loop: the watch is level-triggered, and the
// platform must not keep the driver from its frames.
void PlatformChannel::HandleReadable() {
  platform::ToDriver message;
  std::vector<UniqueFd> fds;
  const absl::StatusOr<bool> received = channel_.Receive(&message, &fds);
  if (!received.ok()) {
    Lose(received.status());
    return;
  }
  if (!*received) return;
  switch (message.message_case()) {
    case platform::ToDriver::kDmaGranted:
    case platform::ToDriver::kDmaEnabled:
    case platform::ToDriver::kRefused:
      HandleReply(message, fds);
      return;
    default:
      handlers_.request(std::move(message), std::move(fds));
  }
}

void PlatformChannel::HandleReply(platform::ToDriver& message,
                                  std::vector<UniqueFd>& fds) {
  switch (message.message_case()) {
    case platform::ToDriver::kDmaGranted: {
      Reply reply;
      reply.area = message.dma_granted().area();
      if (reply.area.memory_fd() < fds.size()) {
        reply.memory = std::move(fds[reply.area.memory_fd()]);
      }
      Answer(message.dma_granted().request(), std::move(reply));
      return;
    }
    case platform::ToDriver::kDmaEnabled:
      Answer(message.dma_enabled().request(), Reply{});
      return;
    default:
      Answer(message.refused().request(),
             Reply{absl::ResourceExhaustedError(
                       absl::StrCat("the platform service refused: ",
                                    message.refused().reason())),
                   {},
                   {}});
  }
}

void PlatformChannel::Answer(uint32_t request, Reply reply) {
  const auto it = pending_.find(request);
  // An answer that nobody waits for, or a second one, is of no use.
  if (it == pending_.end() || it->second.reply.has_value()) return;
  it->second.reply = std::move(reply);
  if (it->second.waiter) it->second.waiter.resume();
}

void PlatformChannel::Lose(absl::Status why) {
  lost_ = true;
  loop_.Unwatch(watch_);
  queued_.clear();
  std::vector<uint32_t> unanswered;
  for (const auto& [request, pending] : pending_) {
    if (!pending.reply.has_value()) unanswered.push_back(request);
  }
  for (const uint32_t request : unanswered) Answer(request, Reply{why, {}, {}});
  handlers_.lost(std::move(why));
}

}  // namespace bulkhead::nic_driver
