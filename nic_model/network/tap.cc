#include "nic_model/network/tap.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/errno_status.h"
#include "base/log.h"

namespace bulkhead::nic_model {
namespace {

// Frames read before other events get their turn.
constexpr int kBudget = 64;

}  // namespace

absl::StatusOr<std::unique_ptr<Tap>> Tap::Create(EventLoop& loop, Port& port,
                                                 UniqueFd tap) {
  const int flags = ::fcntl(tap.get(), F_GETFL);
  if (flags < 0 || ::fcntl(tap.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    return ErrnoStatus("use a tap's descriptor");
  }
  std::unique_ptr<Tap> network(new Tap(loop, port, std::move(tap)));
  RETURN_IF_ERROR(network->Watch());
  return network;
}

Tap::Tap(EventLoop& loop, Port& port, UniqueFd tap)
    : loop_(loop), port_(port), tap_(std::move(tap)) {}

Tap::~Tap() { StopReading(); }

absl::Status Tap::Watch() {
  ASSIGN_OR_RETURN(watch_, loop_.Watch(tap_.get(), EPOLLIN,
                                       [this](uint32_t) { HandleReadable(); }));
  return absl::OkStatus();
}

void Tap::StopReading() {
  if (watch_ != 0) loop_.Unwatch(watch_);
  watch_ = 0;
}

void Tap::HandleReadable() {
  for (int i = 0; i < kBudget; ++i) {
    const ssize_t got = ::read(tap_.get(), buffer_.data(), buffer_.size());
    if (got <= 0) {
      if (got < 0 && (errno == EAGAIN || errno == EINTR)) break;
      LogWarning("tap: closed; no more frames come from it");
      ended_ = true;
      StopReading();
      break;
    }
    port_.Receive(std::span(buffer_).first(static_cast<size_t>(got)));
    if (port_.PausesPartner()) {
      StopReading();
      break;
    }
  }
  port_.EndReceive();
}

void Tap::PortReady() {
  if (watch_ != 0 || ended_ || port_.PausesPartner()) return;
  const absl::Status watched = Watch();
  if (!watched.ok()) LogError(watched.message());
}

SendResult Tap::Send(std::span<uint8_t> frame) {
  const ssize_t sent = ::write(tap_.get(), frame.data(), frame.size());
  return sent == static_cast<ssize_t>(frame.size()) ? SendResult::kSent
                                                    : SendResult::kDropped;
}

}  // namespace bulkhead::nic_model
