#include "packet_stream/observer.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "packet_stream/ring_consumer.h"

namespace bulkhead::packet_stream {
namespace {

// Appends a copy of shared bytes that may change meanwhile. As in a sequence
// lock, each load is an acquire, so that the indices that are read afterwards
// are no older than the copy.
void AppendCopy(const uint8_t* from, uint32_t bytes,
                std::vector<uint8_t>& out) {
  typedef uint64_t __attribute__((may_alias)) Word;
  const size_t at = out.size();
  out.resize(at + bytes);
  uint8_t* to = out.data() + at;
  const uint8_t* const end = from + bytes;
  while (from != end) {
    if (reinterpret_cast<uintptr_t>(from) % sizeof(Word) == 0 &&
        static_cast<size_t>(end - from) >= sizeof(Word)) {
      const uint64_t word = __atomic_load_n(reinterpret_cast<const Word*>(from),
                                            __ATOMIC_ACQUIRE);
      std::memcpy(to, &word, sizeof(word));
      from += sizeof(word);
      to += sizeof(word);
    } else {
      *to++ = __atomic_load_n(from++, __ATOMIC_ACQUIRE);
    }
  }
}

}  // namespace

DirectionObserver::DirectionObserver(const Memory& memory, uint32_t buffers,
                                     uint32_t buffer_bytes, bool sent,
                                     uint32_t snap_bytes)
    : memory_(memory),
      shape_(buffers, buffer_bytes),
      capacity_(buffers),
      sent_(sent),
      snap_bytes_(snap_bytes),
      buffers_(buffers) {
  frames_.reserve(kMaxFrames);
}

void DirectionObserver::FollowFromHere() {
  if (!InStep()) return;
  SkipTo(memory_.submitter->submit_tail.value.load(std::memory_order_acquire));
  acks_known_ = AckTail();
}

// 0 while the other side has not come to our epoch.
uint32_t DirectionObserver::AckTail() const {
  const ControlHeader* header = memory_.acknowledger;
  if (header->epoch.load(std::memory_order_acquire) != epoch_) return 0;
  return header->ack_tail.value.load(std::memory_order_acquire);
}

size_t DirectionObserver::Look(const Sink& sink) {
  const uint32_t epoch = epoch_;
  const bool in_step = InStep();
  if (epoch != epoch_) {
    // What was copied in the old epoch has nobody who uses its buffers again
    // yet; they are judged by what was known.
    const size_t decided = frames_.size();
    Decide(sink);
    StartEpoch(epoch_);
    return decided + 1;
  }
  if (in_step) LookAhead();
  const size_t decided = frames_.size();
  Decide(sink);
  return decided + (in_step ? CopyNew() : 0);
}

// Whether the submitter's tail belongs to our epoch. Its epoch is written last:
// pairs with the release in ClientEnd::StartEpoch and ProviderEnd::Ready.
bool DirectionObserver::InStep() {
  epoch_ = memory_.submitter->epoch.load(std::memory_order_acquire);
  return epoch_ != 0;
}

void DirectionObserver::StartEpoch(uint32_t epoch) {
  epoch_ = epoch;
  acks_known_ = 0;
  std::fill(buffers_.begin(), buffers_.end(), Buffer());
  position_ = submits_known_ = 0;
}

void DirectionObserver::SkipTo(uint32_t position) {
  position_ = position;
  submits_known_ = position;
}

// Takes note of what was submitted and acknowledged. Acknowledgements are
// looked at first and noted last: each is of a submission that is noted then.
void DirectionObserver::LookAhead() {
  // Read after the frames, see AppendCopy.
  const uint32_t acked = AckTail();
  const uint32_t tail =
      memory_.submitter->submit_tail.value.load(std::memory_order_acquire);
  const uint32_t ahead = tail - submits_known_;
  // Anything else is decided in CopyNew.
  if (ahead <= capacity_) {
    for (uint32_t i = submits_known_; i != tail; ++i) {
      const DescriptorCopy piece =
          ReadOnce(&memory_.submit_ring[i & (capacity_ - 1)]);
      const uint32_t buffer = shape_.BufferOf(piece.offset());
      if (buffer < capacity_) buffers_[buffer] = {i + 1, false};
    }
    submits_known_ = tail;
  }
  if (acked - acks_known_ > capacity_) {
    // Of another epoch, or we slept: what was acknowledged meanwhile is not
    // known, so nothing submitted until now is safe.
    for (Buffer& buffer : buffers_) buffer.acknowledged = true;
    acks_known_ = acked;
    return;
  }
  for (; acks_known_ != acked; ++acks_known_) {
    const uint32_t buffer =
        AckBuffer(ReadOnce(&memory_.ack_ring[acks_known_ & (capacity_ - 1)]));
    if (buffer < capacity_) buffers_[buffer].acknowledged = true;
  }
}

uint32_t DirectionObserver::CopyNew() {
  const uint32_t tail =
      memory_.submitter->submit_tail.value.load(std::memory_order_acquire);
  const uint32_t behind = tail - position_;
  // It went back: an epoch is about to begin.
  if (static_cast<int32_t>(behind) < 0) return 0;
  if (behind > capacity_ / 2) {
    // Pieces, not frames, of which nothing is known any more.
    Lose(behind);
    SkipTo(tail);
    return 1;
  }
  uint32_t count = 0;
  while (position_ != tail && count < kMaxFrames) {
    const uint32_t pieces = CopyFrame(tail);
    if (pieces == 0) {
      // Not a frame: the end that reads it will say so, or we read nonsense.
      Lose(1);
      SkipTo(tail);
      break;
    }
    position_ += pieces;
    ++count;
  }
  LookAhead();
  for (Copied& frame : frames_) {
    bool acknowledged = false;
    frame.good = StillThere(frame, &acknowledged) && !acknowledged;
  }
  return count;
}

uint32_t DirectionObserver::CopyFrame(uint32_t tail) {
  Copied frame = {.first = position_, .at = copies_.size()};
  for (uint32_t i = position_; i != tail; ++i) {
    const DescriptorCopy piece =
        ReadOnce(&memory_.submit_ring[i & (capacity_ - 1)]);
    if (!shape_.Contains(piece.offset(), piece.length()) ||
        ++frame.pieces > kMaxFramePieces) {
      break;
    }
    const uint32_t wanted =
        std::min<uint32_t>(piece.length(), snap_bytes_ - frame.snapped);
    AppendCopy(memory_.data + piece.offset(), wanted, copies_);
    frame.snapped += wanted;
    frame.length += piece.length();
    if ((piece.flags() & kMore) == 0) {
      ::clock_gettime(CLOCK_REALTIME, &frame.when);
      frames_.push_back(frame);
      return frame.pieces;
    }
  }
  copies_.resize(frame.at);
  return 0;
}

// Whether no piece's buffer was submitted again.
bool DirectionObserver::StillThere(const Copied& frame,
                                   bool* acknowledged) const {
  if (submits_known_ - frame.first > capacity_ / 2) return false;
  for (uint32_t i = frame.first; i != frame.first + frame.pieces; ++i) {
    const uint32_t buffer = shape_.BufferOf(
        ReadOnce(&memory_.submit_ring[i & (capacity_ - 1)]).offset());
    if (buffer >= capacity_ || buffers_[buffer].submitted != i + 1)
      return false;
    *acknowledged |= buffers_[buffer].acknowledged;
  }
  return true;
}

void DirectionObserver::Decide(const Sink& sink) {
  for (const Copied& frame : frames_) {
    bool acknowledged = false;
    if (!frame.good && !StillThere(frame, &acknowledged)) {
      Lose(1);
      continue;
    }
    ++seen_;
    sink({.sent = sent_,
          .bytes = {copies_.data() + frame.at, frame.snapped},
          .length = frame.length,
          .when = frame.when,
          .lost_before = lost_before_});
    lost_before_ = 0;
  }
  frames_.clear();
  copies_.clear();
}

}  // namespace bulkhead::packet_stream
