#include "nic_driver/intel/descriptor_rings.h"

#include <atomic>

namespace bulkhead::nic_driver::intel {
namespace {

constexpr uint32_t kRxMask = kRxEntries - 1;
constexpr uint32_t kTxMask = kTxEntries - 1;
// A batch has at most so many frames, of which each may need a context.
constexpr uint32_t kContextReserve = kBatchPieces;

// The half of a descriptor that the device writes back. Acquire: whatever the
// device wrote before DD is seen by whoever we tell of it.
uint64_t Load(uint64_t& word) {
  return std::atomic_ref(word).load(std::memory_order_acquire);
}
// The doorbell that follows is the release.
void Store(uint64_t& word, uint64_t value) {
  std::atomic_ref(word).store(value, std::memory_order_relaxed);
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
    Store(ring_[slot].address, buffer.iova);
    Store(ring_[slot].status, 0);
  }
}

size_t RxRing::Harvest(const RxFormat& format, uint32_t buffer_bytes,
                       std::span<RxPiece> out) {
  size_t count = 0;
  while (head_ != tail_) {
    // The next frame: up to EOP, and no further than we know how to count.
    std::array<uint64_t, kMaxFramePieces> statuses;
    size_t pieces = 0;
    bool whole = false;
    while (!whole && pieces < kMaxFramePieces && head_ + pieces != tail_) {
      const uint64_t status = Load(ring_[(head_ + pieces) & kRxMask].status);
      if ((status & rx::DD) == 0) break;
      statuses[pieces++] = status;
      whole = (status & rx::EOP) != 0;
    }
    const bool endless = !whole && pieces == kMaxFramePieces;
    if ((!whole && !endless) || count + pieces > out.size()) break;
    EmitFrame(format, buffer_bytes, std::span(statuses).first(pieces), whole,
              out.subspan(count));
    count += pieces;
  }
  return count;
}

// The device's word is checked as any other's (S7): a length beyond the buffer
// would make the client read a neighbour's bytes.
void RxRing::EmitFrame(const RxFormat& format, uint32_t buffer_bytes,
                       std::span<const uint64_t> statuses, bool whole,
                       std::span<RxPiece> out) {
  const uint64_t last = statuses.back();
  RxStatus verdict = RxStatus::kGood;
  if ((last & format.frame_errors) != 0) verdict = RxStatus::kDeviceError;
  for (const uint64_t status : statuses) {
    const uint32_t length = rx::Length(status);
    if (length == 0 || length > buffer_bytes) verdict = RxStatus::kDeviceError;
  }
  if (!whole || skipping_) verdict = RxStatus::kTooLong;
  skipping_ = !whole;
  const bool checksum_good =
      format.checksum_good != nullptr && format.checksum_good(last);
  for (size_t i = 0; i < statuses.size(); ++i) {
    out[i] = {.buffer = buffers_[head_++ & kRxMask],
              .length = rx::Length(statuses[i]),
              .more = !whole || i + 1 < statuses.size(),
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

void TxRing::Put(const TxPiece& piece, uint64_t command) {
  const uint32_t slot = tail_++ & kTxMask;
  slots_[slot] = {
      .buffer = piece.buffer, .length = piece.length, .more = piece.more};
  in_frame_ = piece.more;
  Store(ring_[slot].address, piece.iova);
  Store(ring_[slot].command, command);
}

void TxRing::PutContext(uint64_t address, uint64_t command) {
  const uint32_t slot = tail_++ & kTxMask;
  slots_[slot] = {.context = true};
  Store(ring_[slot].address, address);
  Store(ring_[slot].command, command);
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
