// How the client's end gets from one epoch to the next (S6, S8).
#include <algorithm>
#include <cstring>

#include "packet_stream/client_end.h"

namespace bulkhead::packet_stream {

void ClientEnd::StartEpoch(uint32_t epoch) {
  tx_.Reset();
  rx_acks_.Reset();
  tx_acks_.Reset();
  rx_.Reset();
  std::memset(rx_owner_.get(), kProviderRx, geometry_.rx_buffers);
  rx_frame_pieces_ = 0;
  epoch_ = epoch;
  attached_ = false;
  broken_ = false;
  breach_ = absl::OkStatus();
  // Pairs with the acquire in ProviderEnd::Ready; sequentially consistent for
  // the provider's look before it sleeps (doorbell.h).
  own_->epoch.store(epoch, std::memory_order_seq_cst);
  // Always: a provider that waits for this is rarely awake.
  tx_doorbell_.Ring();
  ++counters_.doorbells;
}

bool ClientEnd::NowAttached() {
  // Pairs with ProviderEnd::Ready: its tails are those of our epoch.
  attached_ = provider_->epoch.load(std::memory_order_acquire) == epoch_;
  return attached_;
}

bool ClientEnd::Recover(uint32_t epoch) {
  // The old provider is gone: what it published is all there will be.
  CollectTxAcks();
  if (Attached()) {
    if (!rx_.Poll(geometry_.rx_buffers)) {
      BreakOnTail("rx submit", rx_.head(), rx_.claimed_tail());
    } else if (rx_.ready() > 0) {
      return false;
    }
  }
  if (rx_held_ > 0) return false;
  tx_kept_.clear();
  if (attached_ && on_restart_ == OnRestart::kResubmit) KeepSentFrames();
  KeepUnsentPieces();
  for (uint32_t buffer = 0; buffer < geometry_.tx_buffers; ++buffer) {
    if (tx_owner_[buffer] != kProviderTx) continue;
    tx_owner_[buffer] = kFreeTx;
    tx_free_.Push(buffer);
    ++counters_.tx_indeterminate;
  }
  tx_in_flight_ = static_cast<uint32_t>(tx_kept_.size());
  ++counters_.recoveries;
  StartEpoch(epoch);
  tx_frame_ = tx_sequence_;
  PutAll(tx_kept_);
  return true;
}

// Pieces that no provider can have seen go on as if nothing had happened: those
// that were not yet published, and all if none ever attached to the epoch. No
// buffer came back to be used again since, so that the ring still has them.
void ClientEnd::KeepUnsentPieces() {
  const uint32_t count = attached_ ? tx_.unpublished() : tx_in_flight_;
  for (uint32_t i = 0; i < count; ++i) {
    const Descriptor& piece = tx_.At(tx_.tail() - count + i);
    tx_owner_[tx_shape_.BufferOf(piece.offset)] = kKeptTx;
    tx_kept_.push_back(piece);
  }
}

// Published frames of which no piece was acknowledged, in their order. A frame
// with an acknowledged piece cannot be sent again: the piece's buffer may have
// other contents by now.
void ClientEnd::KeepSentFrames() {
  const uint64_t published = tx_sequence_ - tx_.unpublished();
  tx_gathered_.clear();
  for (uint32_t buffer = 0; buffer < geometry_.tx_buffers; ++buffer) {
    const Sent& sent = tx_sent_[buffer];
    if (tx_owner_[buffer] == kProviderTx && sent.sequence < published) {
      tx_gathered_.push_back(sent);
    }
  }
  std::sort(
      tx_gathered_.begin(), tx_gathered_.end(),
      [](const Sent& a, const Sent& b) { return a.sequence < b.sequence; });
  for (size_t first = 0, next; first < tx_gathered_.size(); first = next) {
    const Sent& head = tx_gathered_[first];
    next = first + 1;
    while (next < tx_gathered_.size() &&
           tx_gathered_[next].frame == head.frame) {
      ++next;
    }
    const Sent& last = tx_gathered_[next - 1];
    if ((last.piece.flags & kMore) != 0 ||
        last.sequence - head.frame + 1 != next - first) {
      continue;
    }
    for (size_t i = first; i < next; ++i) {
      const Descriptor& piece = tx_gathered_[i].piece;
      tx_owner_[tx_shape_.BufferOf(piece.offset)] = kKeptTx;
      tx_kept_.push_back(piece);
      ++counters_.tx_resubmitted;
    }
  }
}

}  // namespace bulkhead::packet_stream
