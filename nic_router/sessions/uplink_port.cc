#include "nic_router/sessions/uplink_port.h"

#include <algorithm>

namespace bulkhead::nic_router {

using packet_stream::SessionState;
using packet_stream::SessionStatus;

size_t UplinkPort::Receive(std::span<RxPiece> out) {
  const size_t room = std::min(out.size(), kBatch);
  const size_t count = session_->Receive(std::span(received_).first(room));
  for (size_t i = 0; i < count; ++i) {
    const packet_stream::RxPiece& piece = received_[i];
    out[i] = {piece.data, piece.buffer, piece.length,
              (piece.flags & packet_stream::kMore) != 0,
              (piece.flags & packet_stream::kChecksumGood) != 0};
  }
  if (count > 0) NoteMoved();
  return count;
}

void UplinkPort::Release(std::span<const RxPiece> pieces) {
  while (!pieces.empty()) {
    const size_t count = std::min(pieces.size(), kBatch);
    for (size_t i = 0; i < count; ++i) {
      received_[i] = {.data = pieces[i].data,
                      .buffer = pieces[i].buffer,
                      .length = pieces[i].length,
                      .flags = 0};
    }
    session_->Release(std::span(received_).first(count));
    pieces = pieces.subspan(count);
  }
}

// Its name is its offset: frames need not start where buffers do.
size_t UplinkPort::Alloc(std::span<TxBuffer> out) {
  size_t total = 0;
  while (total < out.size()) {
    const size_t room = std::min(out.size() - total, kBatch);
    const size_t count = session_->AllocTx(std::span(buffers_).first(room));
    for (size_t i = 0; i < count; ++i) {
      out[total + i] = {buffers_[i].data, buffers_[i].offset,
                        buffers_[i].capacity};
    }
    total += count;
    if (count < room) break;
  }
  return total;
}

void UplinkPort::Return(std::span<const TxBuffer> buffers) {
  while (!buffers.empty()) {
    const size_t count = std::min(buffers.size(), kBatch);
    for (size_t i = 0; i < count; ++i) {
      buffers_[i] = {.data = buffers[i].data,
                     .offset = buffers[i].buffer,
                     .capacity = buffers[i].capacity};
    }
    session_->ReturnTx(std::span(buffers_).first(count));
    buffers = buffers.subspan(count);
  }
}

void UplinkPort::Send(std::span<const TxPiece> pieces) {
  while (!pieces.empty()) {
    const size_t count = std::min(pieces.size(), kBatch);
    for (size_t i = 0; i < count; ++i) {
      descriptors_[i] = {.offset = pieces[i].buffer,
                         .length = pieces[i].length,
                         .flags = static_cast<uint16_t>(
                             pieces[i].more ? packet_stream::kMore : 0)};
    }
    session_->SubmitTx(std::span(descriptors_).first(count));
    pieces = pieces.subspan(count);
  }
  NoteMoved();
}

bool UplinkPort::link_up() const {
  const SessionStatus status = session_->status();
  return status.state == SessionState::kRunning && status.link_up;
}

uint32_t UplinkPort::mtu() const {
  constexpr uint32_t kEthernetMtu = 1500;
  const uint32_t mtu = session_->status().mtu;
  return mtu == 0 ? kEthernetMtu : mtu;
}

absl::Status UplinkPort::closed() const {
  if (session_->status().state == SessionState::kClosed) {
    return absl::UnavailableError("the platform service closed it");
  }
  const absl::Status health = session_->health();
  // A breach of the driver is the platform's to mend.
  return absl::IsUnavailable(health) ? health : absl::OkStatus();
}

}  // namespace bulkhead::nic_router
