// What a driver asks for and tells: each message is checked here, and one that
// no honest driver sends ends in a Breach.
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "platform_service/instances/instance.h"

namespace bulkhead::platform {
namespace {

// Text from a driver as it goes into events: short and harmless.
std::string Quoted(absl::string_view text) {
  constexpr size_t kLongest = 200;
  return absl::CHexEscape(text.substr(0, kLongest));
}

bool IsDeviceFault(const absl::Status& status) {
  return !status.ok() && !absl::IsInvalidArgument(status) &&
         !absl::IsResourceExhausted(status) && !absl::IsNotFound(status);
}

}  // namespace

void Instance::HandleMessage(const FromDriver& message) {
  // A device that is gone answers nothing; the driver is about to be stopped.
  if (!device_ready_) return;
  switch (message.message_case()) {
    case FromDriver::kAllocDma:
      return HandleAllocDma(message.alloc_dma());
    case FromDriver::kFreeDma:
      return HandleFreeDma(message.free_dma());
    case FromDriver::kEnableDma:
      return HandleEnableDma(message.enable_dma());
    case FromDriver::kAttached:
      return HandleAttached(message.attached());
    case FromDriver::kLink:
      return HandleLink(message.link());
    case FromDriver::kSessionBroken:
      return HandleSessionBroken(message.session_broken());
    case FromDriver::kSessionClosed:
      return HandleSessionClosed(message.session_closed().session_id());
    case FromDriver::kFirstFrame:
      return HandleFirstFrame(message.first_frame());
    case FromDriver::MESSAGE_NOT_SET:
      return Breach("platform channel: a message that says nothing");
  }
}

void Instance::Refuse(uint32_t request, const absl::Status& why) {
  Record("refused", why.message());
  ToDriver reply;
  reply.mutable_refused()->set_request(request);
  reply.mutable_refused()->set_reason(std::string(why.message()));
  channel_->Send(reply);
}

void Instance::HandleAllocDma(const FromDriver::AllocDma& request) {
  const auto area = rings_.Allocate(*nic_.device(), request.bytes());
  if (IsDeviceFault(area.status())) {
    FailDevice(area.status());
    return;
  }
  if (!area.ok()) return Refuse(request.request(), area.status());
  ToDriver reply;
  auto* granted = reply.mutable_dma_granted();
  granted->set_request(request.request());
  granted->mutable_area()->set_iova((*area)->iova);
  granted->mutable_area()->set_bytes((*area)->bytes);
  granted->mutable_area()->set_memory_fd(0);
  const int fd = (*area)->memory.get();
  channel_->Send(reply, {&fd, 1});
  ParkLater();
}

void Instance::HandleFreeDma(const FromDriver::FreeDma& request) {
  const absl::Status status = rings_.Free(*nic_.device(), request.iova());
  if (IsDeviceFault(status)) {
    FailDevice(status);
    return;
  }
  if (!status.ok()) return Breach(std::string(status.message()));
  ParkLater();
}

void Instance::HandleEnableDma(const FromDriver::EnableDma& request) {
  if (FailDevice(nic_.device()->EnableBusMaster())) return;
  ToDriver reply;
  reply.mutable_dma_enabled()->set_request(request.request());
  channel_->Send(reply);
  dma_on_ns_ = MonotonicNs();
  Record("dma_on", "bus mastering on, as the driver asked");
}

void Instance::OnDmaFault(const std::string& text) {
  // Between a fault and the word of it: one of the generation before is not
  // held against this one.
  constexpr uint64_t kLateNs = 1'000'000;
  Record("dma_fault", text);
  if (dma_on_ns_ == 0 || MonotonicNs() - dma_on_ns_ < kLateNs) return;
  dma_on_ns_ = 0;  // Once for each generation.
  Breach(absl::StrCat("DMA outside its map: ", text));
}

void Instance::HandleLink(const FromDriver::Link& link) {
  if (link.up() != facts_.link_up) {
    const std::string medium =
        absl::StrCat(link.speed_mbps(), " Mb/s, ",
                     link.full_duplex() ? "full" : "half", " duplex");
    Record(link.up() ? "link_up" : "link_down",
           link.up() && link.speed_mbps() != 0 ? medium : "");
  }
  facts_.link_up = link.up();
  facts_.speed_mbps = link.speed_mbps();
  facts_.full_duplex = link.full_duplex();
  ShowStatus();
  ParkLater();
}

void Instance::HandleSessionBroken(const FromDriver::SessionBroken& broken) {
  for (const Closing& closing : closing_) {
    if (closing.session->id() == broken.session_id()) return;
  }
  if (session_ == nullptr || session_->id() != broken.session_id()) {
    return Breach(absl::StrCat("said SessionBroken of session ",
                               broken.session_id(), ", which it has not"));
  }
  const std::string reason = absl::StrCat(
      "the client broke the session's protocol: ", Quoted(broken.reason()));
  Record("session_broken",
         absl::StrCat("session ", broken.session_id(), " of ",
                      session_->identity().label, ": ", reason));
  CloseSession(reason);
}

void Instance::HandleFirstFrame(const FromDriver::FirstFrame& frame) {
  if (std::exchange(first_frame_seen_, true)) {
    return Breach("said FirstFrame twice");
  }
  const uint64_t now_ns = MonotonicNs();
  const bool plausible =
      frame.time_ns() >= begin_ns_ && frame.time_ns() <= now_ns;
  link_.Record(spec_.name, life_.begun_generation(), "first_frame",
               "a frame went through", plausible ? frame.time_ns() : now_ns);
}

}  // namespace bulkhead::platform
