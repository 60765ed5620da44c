#include "nic_driver/intel/descriptor_rings.h"

#include <atomic>

namespace bulkhead::nic_driver::intel {
namespace {

constexpr uint32_t kRxMask = kRxEntries - 1;
constexpr uint32_t kTxMask = kTxEntries - 1;

// The half of a descriptor that the device writes back. Acquire: whatever the
// device wrote before DD is seen by whoever we tell of it.
uint64_t Load(uint64_t& word) {
  return std::atomic_ref(word).load(std::memory_order_acquire);
}

}  // namespace

void RxRing::Forget() {
  head_ = tail_ = 0;
  skipping_ = false;
}

size_t RxRing::Room() const {
  // Head = tail means empty, so that one slot stays unused.
  return kRxEntries - 1 - (tail_ - head_);
}

void RxRing::Refill(std::span<const RxBuffer> buffers) {
  for (const RxBuffer& buffer : buffers) {
    const uint32_t slot = tail_++ & kRxMask;
    buffers_[slot] = buffer.buffer;
    // The doorbell that follows is the release.
    StoreRelaxed(ring_[slot].address, buffer.iova);
    StoreRelaxed(ring_[slot].status, 0);
  }
}

size_t RxRing::Harvest(const RxFormat& format, uint32_t buffer_bytes,
                       std::span<RxPiece> out) {
  size_t count = 0;
  Frame frame;
  while (NextFrame(buffer_bytes, frame) && count + frame.pieces <= out.size()) {
    Emit(format, frame, &out[count]);
    count += frame.pieces;
  }
  return count;
}

// The device's word is checked as any other's (S7): a length beyond the buffer
// would make the client read a neighbour's bytes.
inline bool RxRing::NextFrame(uint32_t buffer_bytes, Frame& frame) const {
  frame.pieces = 0;
  frame.bad_length = false;
  const uint32_t given = std::min(tail_ - head_, uint32_t{kMaxFramePieces});
  while (frame.pieces < given) {
    const uint64_t status =
        Load(ring_[(head_ + frame.pieces) & kRxMask].status);
    if ((status & rx::DD) == 0) return false;
    const uint16_t length = rx::Length(status);
    frame.bad_length |= length == 0 || length > buffer_bytes;
    frame.lengths[frame.pieces++] = length;
    frame.last_status = status;
    frame.whole = (status & rx::EOP) != 0;
    if (frame.whole) return true;
  }
  return frame.pieces == kMaxFramePieces;
}

inline void RxRing::Emit(const RxFormat& format, const Frame& frame,
                         RxPiece* out) {
  const uint64_t last = frame.last_status;
  RxStatus verdict = RxStatus::kGood;
  if (frame.bad_length || (last & format.frame_errors) != 0) {
    verdict = RxStatus::kDeviceError;
  }
  if (!frame.whole || skipping_) verdict = RxStatus::kTooLong;
  skipping_ = !frame.whole;
  const bool checksum_good = (last & format.checksum_checked) != 0 &&
                             (last & format.checksum_doubted) == 0;
  for (uint32_t i = 0; i < frame.pieces; ++i) {
    out[i] = {.buffer = buffers_[head_++ & kRxMask],
              .length = frame.lengths[i],
              .more = !frame.whole || i + 1 < frame.pieces,
              .checksum_good = checksum_good,
              .status = verdict};
  }
}

void TxRing::Forget() {
  head_ = tail_ = 0;
  in_frame_ = false;
}

size_t TxRing::Room() const {
  const uint32_t free = kTxEntries - 1 - (tail_ - head_);
  return free - std::min(free, kContextReserve);
}

size_t TxRing::Reap(uint64_t errors, std::span<TxDone> out) {
  size_t count = 0;
  while (head_ != tail_) {
    const uint32_t first = head_ + (slots_[head_ & kTxMask].context ? 1 : 0);
    size_t pieces = 1;
    while (slots_[(first + pieces - 1) & kTxMask].more) ++pieces;
    if (count + pieces > out.size()) break;
    const uint64_t last = Load(ring_[(first + pieces - 1) & kTxMask].command);
    if ((last & tx::DD) == 0) break;
    head_ = first;
    for (; pieces > 0; --pieces) {
      const Slot& slot = slots_[head_++ & kTxMask];
      out[count++] = {.buffer = slot.buffer,
                      .length = slot.length,
                      .more = slot.more,
                      .good = (last & errors) == 0};
    }
  }
  return count;
}

uint64_t TxRing::Abandon() {
  uint64_t frames = 0;
  for (; head_ != tail_; ++head_) {
    const Slot& slot = slots_[head_ & kTxMask];
    if (!slot.more && !slot.context) ++frames;
  }
  return frames;
}

StopReport CountLeftovers(RxRing& rx, const RxFormat& format,
                          uint32_t rx_buffer_bytes, TxRing& tx,
                          uint64_t tx_errors) {
  StopReport report;
  std::array<TxDone, kBatchPieces> sent;
  while (const size_t count = tx.Reap(tx_errors, sent)) {
    for (const TxDone& piece : std::span(sent).first(count)) {
      report.tx_sent_bytes += piece.good ? piece.length : 0;
      if (piece.more) continue;
      ++(piece.good ? report.tx_sent_frames : report.tx_unsent_frames);
    }
  }
  report.tx_unsent_frames += tx.Abandon();
  std::array<RxPiece, kBatchPieces> received;
  while (const size_t count = rx.Harvest(format, rx_buffer_bytes, received)) {
    for (const RxPiece& piece : std::span(received).first(count)) {
      if (!piece.more) ++report.rx_unclaimed_frames;
    }
  }
  return report;
}

}  // namespace bulkhead::nic_driver::intel
