#include "nic_router/sessions/client_port.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/errno_status.h"

namespace bulkhead::nic_router {

using packet_stream::Ack;
using packet_stream::AckStatus;
using packet_stream::Descriptor;
using packet_stream::MakeAck;

absl::StatusOr<std::unique_ptr<ClientPort>> ClientPort::Create(
    ClientGrant grant) {
  const packet_stream::SessionGeometry& geometry = grant.provider.geometry;
  ASSIGN_OR_RETURN(Mapping tx_data, Mapping::MapSealed(grant.tx_data.get(),
                                                       geometry.TxDataBytes(),
                                                       Access::kReadOnly));
  ASSIGN_OR_RETURN(Mapping rx_data, Mapping::MapSealed(grant.rx_data.get(),
                                                       geometry.RxDataBytes(),
                                                       Access::kReadWrite));
  ASSIGN_OR_RETURN(auto provider, packet_stream::ProviderEnd::Create(
                                      std::move(grant.provider)));
  return std::unique_ptr<ClientPort>(new ClientPort(
      std::move(provider), std::move(tx_data), std::move(rx_data), grant));
}

ClientPort::ClientPort(std::unique_ptr<packet_stream::ProviderEnd> provider,
                       Mapping tx_data, Mapping rx_data,
                       const ClientGrant& grant)
    : provider_(std::move(provider)),
      tx_data_(std::move(tx_data)),
      rx_data_(std::move(rx_data)),
      buffer_bytes_(provider_->geometry().buffer_bytes),
      buffer_shift_(static_cast<uint32_t>(std::countr_zero(buffer_bytes_))),
      label_(grant.label),
      mac_(grant.mac),
      mtu_(grant.mtu) {}

size_t ClientPort::Receive(std::span<RxPiece> out) {
  if (!ready_) [[unlikely]] {
    ready_ = provider_->Ready();
    if (!ready_) return 0;
    NoteMoved();
  }
  const size_t room = std::min(out.size(), kBatch);
  const size_t taken = provider_->TakeTx(std::span(descriptors_).first(room));
  size_t count = 0;
  for (size_t first = 0, next; first < taken; first = next) {
    next = first + 1;
    while ((descriptors_[next - 1].flags & packet_stream::kMore) != 0) ++next;
    constexpr uint16_t kOffloads = static_cast<uint16_t>(
        ~static_cast<uint32_t>(packet_stream::kMore) & 0xffff);
    if ((descriptors_[first].flags & kOffloads) != 0) [[unlikely]] {
      Refuse(std::span(descriptors_).subspan(first, next - first));
      continue;
    }
    for (size_t i = first; i < next; ++i) {
      const Descriptor& piece = descriptors_[i];
      out[count++] = {tx_data_.data() + piece.offset,
                      piece.offset >> buffer_shift_, piece.length,
                      (piece.flags & packet_stream::kMore) != 0, false};
    }
  }
  if (taken > 0) NoteMoved();
  return count;
}

void ClientPort::Refuse(std::span<const Descriptor> frame) {
  for (size_t i = 0; i < frame.size(); ++i) {
    acks_[i] = MakeAck(frame[i].offset >> buffer_shift_, AckStatus::kInvalid);
  }
  provider_->AckTx(std::span(acks_).first(frame.size()));
  ++refused_frames_;
}

void ClientPort::Release(std::span<const RxPiece> pieces) {
  while (!pieces.empty()) {
    const size_t count = std::min(pieces.size(), kBatch);
    for (size_t i = 0; i < count; ++i) {
      acks_[i] = MakeAck(pieces[i].buffer, AckStatus::kDone);
    }
    provider_->AckTx(std::span(acks_).first(count));
    pieces = pieces.subspan(count);
  }
}

size_t ClientPort::Alloc(std::span<TxBuffer> out) {
  if (!ready_) return 0;
  size_t total = 0;
  while (total < out.size()) {
    const size_t room = std::min(out.size() - total, kBatch);
    const size_t count = provider_->TakeFreeRx(std::span(numbers_).first(room));
    for (size_t i = 0; i < count; ++i) {
      out[total + i] = {
          rx_data_.data() + (size_t{numbers_[i]} << buffer_shift_), numbers_[i],
          buffer_bytes_};
    }
    total += count;
    if (count < room) break;
  }
  return total;
}

void ClientPort::Return(std::span<const TxBuffer> buffers) {
  while (!buffers.empty()) {
    const size_t count = std::min(buffers.size(), kBatch);
    for (size_t i = 0; i < count; ++i) numbers_[i] = buffers[i].buffer;
    provider_->ReturnFreeRx(std::span(numbers_).first(count));
    buffers = buffers.subspan(count);
  }
}

void ClientPort::Send(std::span<const TxPiece> pieces) {
  while (!pieces.empty()) {
    const size_t count = std::min(pieces.size(), kBatch);
    for (size_t i = 0; i < count; ++i) {
      descriptors_[i] = {.offset = pieces[i].buffer << buffer_shift_,
                         .length = pieces[i].length,
                         .flags = static_cast<uint16_t>(
                             pieces[i].more ? packet_stream::kMore : 0)};
    }
    provider_->SubmitRx(std::span(descriptors_).first(count));
    pieces = pieces.subspan(count);
  }
  NoteMoved();
}

bool ClientPort::DoArm() {
  // One that is not at our epoch yet rings when it is.
  if (!ready_ && provider_->Ready()) return false;
  return provider_->ArmDoorbell();
}

}  // namespace bulkhead::nic_router
