#include "nic_driver/af_xdp/xdp_queue.h"

#include <sys/socket.h>

#include <bit>
#include <type_traits>
#include <utility>

#include "base/errno_status.h"

// Of Linux 6.6; Debian 12's headers are older.
#ifndef XDP_PKT_CONTD
#define XDP_PKT_CONTD (1 << 0)
#endif

namespace bulkhead::nic_driver {

absl::StatusOr<std::unique_ptr<XdpQueue>> XdpQueue::Create(SessionSocket socket,
                                                           uint32_t lane) {
  const auto* rings = std::get_if<XdpRings>(&socket.rings);
  if (rings == nullptr) {
    return absl::InvalidArgumentError("start: the socket has no XDP rings");
  }
  std::unique_ptr<XdpQueue> queue(new XdpQueue());
  queue->socket_ = std::move(socket.socket);
  RETURN_IF_ERROR(queue->MapRings(*rings));
  queue->buffer_shift_ =
      static_cast<uint32_t>(std::countr_zero(socket.geometry.buffer_bytes));
  queue->rx_base_ = socket.geometry.LaneTxDataBytes();
  queue->tx_iova_ = socket.tx_iova + lane * socket.geometry.LaneTxDataBytes();
  queue->busy_poll_ = rings->busy_poll;
  queue->max_pieces_ = rings->max_pieces;
  queue->rx_given_.resize(socket.geometry.rx_buffers);
  queue->sent_.resize(queue->tx_.capacity());
  queue->sent_at_.resize(socket.geometry.tx_buffers);
  return queue;
}

absl::Status XdpQueue::MapRings(const XdpRings& rings) {
  xdp_mmap_offsets offsets = {};
  socklen_t bytes = sizeof(offsets);
  if (::getsockopt(socket_.get(), SOL_XDP, XDP_MMAP_OFFSETS, &offsets,
                   &bytes) != 0 ||
      bytes != sizeof(offsets)) {
    return ErrnoStatus("find the rings of an XDP socket");
  }
  const auto map = [this](auto* ring, const xdp_ring_offset& at, uint64_t page,
                          uint32_t entries, size_t entry_bytes) {
    auto mapping =
        Mapping::MapAny(socket_.get(), page, at.desc + entries * entry_bytes,
                        Access::kReadWrite);
    if (!mapping.ok()) return mapping.status();
    *ring =
        std::remove_pointer_t<decltype(ring)>(*std::move(mapping), at, entries);
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(map(&fill_, offsets.fr, XDP_UMEM_PGOFF_FILL_RING,
                      rings.fill_entries, sizeof(uint64_t)));
  RETURN_IF_ERROR(map(&completion_, offsets.cr, XDP_UMEM_PGOFF_COMPLETION_RING,
                      rings.completion_entries, sizeof(uint64_t)));
  RETURN_IF_ERROR(map(&rx_, offsets.rx, XDP_PGOFF_RX_RING, rings.rx_entries,
                      sizeof(xdp_desc)));
  return map(&tx_, offsets.tx, XDP_PGOFF_TX_RING, rings.tx_entries,
             sizeof(xdp_desc));
}

// --- Receive --------------------------------------------------------------

// The fill ring has an entry for each buffer, so that there is always room.
void XdpQueue::RxRefill(std::span<const RxBuffer> buffers) {
  for (const RxBuffer& buffer : buffers) {
    fill_.Put(rx_base_ + (uint64_t{buffer.buffer} << buffer_shift_));
    rx_given_[buffer.buffer] = true;
  }
  fill_.Publish();
  rx_given_count_ += buffers.size();
  // Only drivers with zero-copy ever stop looking at it.
  if (fill_.NeedsWakeup()) Call();
}

// Has the kernel look for frames. Nothing is received but by the ring.
void XdpQueue::Call() {
  ::recvfrom(socket_.get(), nullptr, 0, MSG_DONTWAIT, nullptr, nullptr);
}

bool XdpQueue::TakeBack(const xdp_desc& entry, RxPiece* piece) {
  if (entry.addr < rx_base_) return false;
  const uint64_t buffer = (entry.addr - rx_base_) >> buffer_shift_;
  const uint64_t buffer_bytes = uint64_t{1} << buffer_shift_;
  const uint64_t offset = (entry.addr - rx_base_) & (buffer_bytes - 1);
  if (buffer >= rx_given_.size() || !rx_given_[buffer] ||
      entry.len > buffer_bytes - offset) {
    return false;
  }
  rx_given_[buffer] = false;
  --rx_given_count_;
  *piece = {.buffer = static_cast<uint32_t>(buffer),
            .length = static_cast<uint16_t>(entry.len),
            .more = (entry.options & XDP_PKT_CONTD) != 0,
            .offset = static_cast<uint16_t>(offset)};
  return true;
}

size_t XdpQueue::RxHarvest(std::span<RxPiece> out) {
  uint32_t available = rx_.Available();
  // Once a turn, and once more before a sleep.
  if (available == 0 && busy_poll_) {
    Call();
    available = rx_.Available();
  }
  size_t count = 0;       // In `out`.
  uint32_t released = 0;  // Entries of whole frames.
  while (released < available) {
    // Whole frames: the kernel may be at the next one's pieces still.
    uint32_t pieces = 1;
    while (released + pieces <= available &&
           (rx_.Peek(released + pieces - 1).options & XDP_PKT_CONTD) != 0) {
      ++pieces;
    }
    if (released + pieces > available || out.size() - count < pieces) break;
    const RxStatus status =
        pieces > kMaxFramePieces ? RxStatus::kTooLong : RxStatus::kGood;
    for (uint32_t i = 0; i < pieces; ++i) {
      if (TakeBack(rx_.Peek(released + i), &out[count])) {
        out[count++].status = status;
      }
    }
    released += pieces;
  }
  if (released != 0) rx_.Release(released);
  return count;
}

// --- Transmit -------------------------------------------------------------

// The ring is longer than the session has buffers: a batch always fits.
size_t XdpQueue::TxRoom() const {
  return tx_.capacity() - (sent_tail_ - sent_head_);
}

void XdpQueue::TxSubmit(std::span<const TxPiece> pieces) {
  for (size_t start = 0, i = 0; i < pieces.size(); ++i) {
    if (pieces[i].more) continue;
    Submit(pieces.subspan(start, i + 1 - start));
    start = i + 1;
  }
  tx_.Publish();
  Kick();
}

// A frame in more pieces than the kernel takes would be lost there without a
// word: it comes back as not sent (S8).
void XdpQueue::Submit(std::span<const TxPiece> frame) {
  const bool good = frame.size() <= max_pieces_;
  for (const TxPiece& piece : frame) {
    if (good) {
      tx_.Put({piece.iova - tx_iova_, piece.length,
               piece.more ? XDP_PKT_CONTD : 0u});
    }
    const uint32_t at = sent_tail_++;
    sent_[at & (sent_.size() - 1)] = {
        {piece.buffer, piece.length, piece.more, good}, !good};
    sent_at_[piece.buffer] = at;
  }
}

// Without zero-copy the kernel sends within the call: a batch, or 32 frames
// before Linux 6.17.
void XdpQueue::Kick() {
  if (!tx_.NeedsWakeup()) return;
  uint32_t before;
  do {
    before = tx_.consumed();
    ::sendto(socket_.get(), nullptr, 0, MSG_DONTWAIT, nullptr, 0);
  } while (tx_.Pending() && tx_.consumed() != before);
  // What is left finds no room for now, or the interface is down: at a later
  // turn.
}

// Marks what the kernel is done with.
void XdpQueue::Collect() {
  const uint32_t count = completion_.Available();
  for (uint32_t i = 0; i < count; ++i) {
    const uint64_t buffer = completion_.Peek(i) >> buffer_shift_;
    if (buffer >= sent_at_.size()) continue;
    const uint32_t at = sent_at_[buffer];
    if (at - sent_head_ >= sent_tail_ - sent_head_) continue;
    Sent& sent = sent_[at & (sent_.size() - 1)];
    if (sent.piece.buffer == buffer) sent.done = true;
  }
  if (count != 0) completion_.Release(count);
}

size_t XdpQueue::TxReap(std::span<TxDone> out) {
  if (sent_head_ == sent_tail_) return 0;
  Collect();
  size_t count = 0;
  while (sent_head_ != sent_tail_) {
    uint32_t pieces = 0;
    bool more = true;
    while (more && sent_head_ + pieces != sent_tail_) {
      const Sent& sent = sent_[(sent_head_ + pieces) & (sent_.size() - 1)];
      if (!sent.done) break;
      more = sent.piece.more;
      ++pieces;
    }
    if (more || out.size() - count < pieces) break;
    for (uint32_t i = 0; i < pieces; ++i) {
      out[count++] = sent_[sent_head_++ & (sent_.size() - 1)].piece;
    }
  }
  if (count == 0 && tx_.Pending()) Kick();
  return count;
}

// --- The end --------------------------------------------------------------

uint64_t XdpQueue::TakeMissed() {
  xdp_statistics statistics = {};
  socklen_t bytes = sizeof(statistics);
  if (::getsockopt(socket_.get(), SOL_XDP, XDP_STATISTICS, &statistics,
                   &bytes) != 0) {
    return 0;
  }
  const uint64_t now = statistics.rx_dropped + statistics.rx_ring_full;
  return now - std::exchange(missed_, now);
}

StopReport XdpQueue::Report() {
  StopReport report;
  report.statistics.rx_missed = TakeMissed();
  for (uint32_t i = 0, count = rx_.Available(); i < count; ++i) {
    report.rx_unclaimed_frames += (rx_.Peek(i).options & XDP_PKT_CONTD) == 0;
  }
  Collect();
  bool good = true;
  uint64_t bytes = 0;
  for (; sent_head_ != sent_tail_; ++sent_head_) {
    const Sent& sent = sent_[sent_head_ & (sent_.size() - 1)];
    good &= sent.done && sent.piece.good;
    bytes += sent.piece.length;
    if (sent.piece.more) continue;
    ++(good ? report.tx_sent_frames : report.tx_unsent_frames);
    if (good) report.tx_sent_bytes += bytes;
    good = true;
    bytes = 0;
  }
  return report;
}

}  // namespace bulkhead::nic_driver
