#include "nic_model/network/wire.h"

#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "base/errno_status.h"
#include "base/log.h"

namespace bulkhead::nic_model {
namespace {

constexpr std::chrono::milliseconds kPatience(50);

}  // namespace

absl::StatusOr<std::unique_ptr<Wire>> Wire::Create(EventLoop& loop, Port& port,
                                                   UniqueFd socket) {
  int type;
  socklen_t bytes = sizeof(type);
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_TYPE, &type, &bytes) != 0) {
    return ErrnoStatus("use a wire's descriptor");
  }
  if (type != SOCK_SEQPACKET) {
    return absl::InvalidArgumentError(
        "use a wire's descriptor: it is no SOCK_SEQPACKET socket");
  }
  std::unique_ptr<Wire> wire(new Wire(loop, port, std::move(socket)));
  wire->Rewatch();
  if (wire->watch_ == 0) {
    return absl::InternalError("watch a wire's socket: the loop refused it");
  }
  return wire;
}

Wire::Wire(EventLoop& loop, Port& port, UniqueFd socket)
    : loop_(loop),
      port_(port),
      socket_(std::move(socket)),
      tx_buffers_(new std::array<Buffer, kBatch>),
      rx_buffers_(new std::array<Buffer, kBatch>) {
  for (size_t i = 0; i < kBatch; ++i) {
    tx_parts_[i] = {(*tx_buffers_)[i].data(), 0};
    tx_messages_[i].msg_hdr.msg_iov = &tx_parts_[i];
    tx_messages_[i].msg_hdr.msg_iovlen = 1;
    rx_parts_[i] = {(*rx_buffers_)[i].data(), kMaxFrameBytes};
    rx_messages_[i].msg_hdr.msg_iov = &rx_parts_[i];
    rx_messages_[i].msg_hdr.msg_iovlen = 1;
  }
}

Wire::~Wire() {
  loop_.Cancel(timer_);
  if (watch_ != 0) loop_.Unwatch(watch_);
}

void Wire::Rewatch() {
  const uint32_t events = !socket_.valid()
                              ? 0
                              : (paused_ ? 0u : uint32_t{EPOLLIN}) |
                                    (full_ ? uint32_t{EPOLLOUT} : 0u);
  if (events == watched_) return;
  if (watch_ != 0) loop_.Unwatch(watch_);
  watch_ = 0;
  watched_ = events;
  if (events == 0) return;
  const auto watch = loop_.Watch(
      socket_.get(), events, [this](uint32_t ready) { HandleEvents(ready); });
  if (watch.ok()) {
    watch_ = *watch;
  } else {
    LogError(watch.status().message());
  }
}

void Wire::Unplug() {
  LogWarning("wire: the other end is closed; frames are dropped from now on");
  if (watch_ != 0) loop_.Unwatch(watch_);
  watch_ = 0;
  watched_ = 0;
  socket_.Reset();
  queued_ = 0;
  full_ = false;
  loop_.Cancel(timer_);
  if (std::exchange(nic_waits_, false)) port_.ResumeSend();
}

void Wire::HandleEvents(uint32_t events) {
  if ((events & EPOLLOUT) != 0 && full_ && Flush()) {
    full_ = deserted_ = false;
    loop_.Cancel(timer_);
    Rewatch();
    if (std::exchange(nic_waits_, false)) port_.ResumeSend();
  }
  if ((events & EPOLLIN) != 0 && socket_.valid()) ReceiveBatch();
  if ((events & (EPOLLHUP | EPOLLERR)) != 0 && (events & EPOLLIN) == 0 &&
      socket_.valid()) {
    Unplug();
  }
}

void Wire::ReceiveBatch() {
  const int count = ::recvmmsg(socket_.get(), rx_messages_.data(), kBatch,
                               MSG_DONTWAIT, nullptr);
  if (count < 0) {
    if (errno != EAGAIN && errno != EINTR) Unplug();
    return;
  }
  for (int i = 0; i < count; ++i) {
    const size_t bytes = rx_messages_[i].msg_len;
    if (bytes == 0) return Unplug();  // End of file: a frame has bytes.
    // A longer packet arrives cut off; a frame of the full length is one that
    // the receiver counts as oversize in any case.
    port_.Receive(std::span((*rx_buffers_)[i]).first(bytes));
  }
  port_.EndReceive();
  paused_ = port_.PausesPartner();
  Rewatch();
}

void Wire::PortReady() {
  if (!paused_ || port_.PausesPartner()) return;
  paused_ = false;
  Rewatch();
}

SendResult Wire::Send(std::span<uint8_t> frame) {
  if (!socket_.valid() || deserted_) return SendResult::kDropped;
  if (queued_ == kBatch && !Flush()) {
    WaitForRoom();
    nic_waits_ = true;
    return SendResult::kBusy;
  }
  if (!socket_.valid()) return SendResult::kDropped;
  std::memcpy((*tx_buffers_)[queued_].data(), frame.data(), frame.size());
  tx_parts_[queued_] = {(*tx_buffers_)[queued_].data(), frame.size()};
  ++queued_;
  return SendResult::kSent;
}

void Wire::EndSend() {
  if (!Flush()) WaitForRoom();
}

bool Wire::Flush() {
  size_t done = 0;
  while (done < queued_) {
    const int sent = ::sendmmsg(socket_.get(), tx_messages_.data() + done,
                                static_cast<unsigned>(queued_ - done),
                                MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0) {
      done += static_cast<size_t>(sent);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
      break;
    } else if (errno != EINTR) {
      // The other end is gone, and what was queued with it.
      queued_ = 0;
      return true;
    }
  }
  if (done == queued_) {
    queued_ = 0;
    return true;
  }
  // What is left moves to the front: the buffers stay, their parts swap.
  if (done != 0) {
    std::rotate(tx_parts_.begin(), tx_parts_.begin() + done, tx_parts_.end());
    queued_ -= done;
  }
  return false;
}

void Wire::WaitForRoom() {
  if (full_) return;
  full_ = true;
  Rewatch();
  timer_ = loop_.After(kPatience, [this] {
    deserted_ = true;
    if (std::exchange(nic_waits_, false)) port_.ResumeSend();
  });
}

}  // namespace bulkhead::nic_model
