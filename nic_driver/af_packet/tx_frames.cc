#include "nic_driver/af_packet/tx_frames.h"

#include <linux/if_packet.h>

#include <atomic>
#include <cstring>

namespace bulkhead::nic_driver {
namespace {

// Where a frame begins in its slot (packet_mmap.rst, "Transmission process").
constexpr uint32_t kDataOffset = TPACKET3_HDRLEN - sizeof(sockaddr_ll);

}  // namespace

TxFrames::TxFrames(std::span<uint8_t> ring, uint32_t slot_bytes, uint32_t slots,
                   uint32_t pieces)
    : ring_(ring),
      slot_bytes_(slot_bytes),
      slots_(slots),
      frames_(slots),
      pieces_(pieces) {}

uint32_t TxFrames::Longest() const { return slot_bytes_ - kDataOffset; }

// Acquire: pairs with the kernel's barrier before it gives the slot back.
uint32_t TxFrames::StatusOf(uint32_t slot) const {
  auto* header = reinterpret_cast<tpacket3_hdr*>(Slot(slot));
  return std::atomic_ref<uint32_t>(header->tp_status)
      .load(std::memory_order_acquire);
}

// Release: what was written to the slot is there when the kernel sees it.
void TxFrames::SetStatus(uint32_t slot, uint32_t status) {
  auto* header = reinterpret_cast<tpacket3_hdr*>(Slot(slot));
  std::atomic_ref<uint32_t>(header->tp_status)
      .store(status, std::memory_order_release);
}

void TxFrames::Put(std::span<const TxPiece> frame,
                   std::span<const uint8_t> data) {
  uint8_t* slot = Slot(slot_);
  uint32_t bytes = 0;
  for (const TxPiece& piece : frame) {
    std::memcpy(slot + kDataOffset + bytes, data.data() + piece.iova,
                piece.length);
    bytes += piece.length;
    pieces_[piece_tail_++ & (pieces_.size() - 1)] = {piece.buffer, piece.length,
                                                     piece.more, true};
  }
  auto* header = reinterpret_cast<tpacket3_hdr*>(slot);
  header->tp_next_offset = 0;
  header->tp_len = bytes;
  SetStatus(slot_, TP_STATUS_SEND_REQUEST);
  At(frame_tail_++) = {slot_, static_cast<uint32_t>(frame.size()), false};
  slot_ = (slot_ + 1) & (slots_ - 1);
}

bool TxFrames::Untaken() const {
  if (frame_head_ == frame_tail_) return false;
  const Frame& last = At(frame_tail_ - 1);
  return !last.cancelled && StatusOf(last.slot) == TP_STATUS_SEND_REQUEST;
}

void TxFrames::Cancel() {
  // The kernel's own position is at the first slot that it has not taken: the
  // next frame goes there.
  for (uint32_t at = frame_tail_; at != frame_head_; --at) {
    Frame& frame = At(at - 1);
    if (frame.cancelled || StatusOf(frame.slot) != TP_STATUS_SEND_REQUEST) {
      break;
    }
    SetStatus(frame.slot, TP_STATUS_AVAILABLE);
    frame.cancelled = true;
    slot_ = frame.slot;
  }
}

size_t TxFrames::Reap(std::span<TxDone> out) {
  size_t count = 0;
  for (; frame_head_ != frame_tail_; ++frame_head_) {
    const Frame& frame = At(frame_head_);
    if (out.size() - count < frame.pieces) break;
    if (!frame.cancelled) {
      const uint32_t status = StatusOf(frame.slot);
      if ((status & (TP_STATUS_SEND_REQUEST | TP_STATUS_SENDING)) != 0) break;
    }
    for (uint32_t i = 0; i < frame.pieces; ++i) {
      TxDone& done = out[count++];
      done = pieces_[piece_head_++ & (pieces_.size() - 1)];
      done.good = !frame.cancelled;
    }
  }
  return count;
}

}  // namespace bulkhead::nic_driver
