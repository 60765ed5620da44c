// The reading half of a ring in shared memory. The writer is hostile (S7).
//
// Guarantees:
//   - An entry handed out is a private copy, read once.
//   - Only indices between our own head and a tail that lies at most `capacity`
//     ahead of it are read; any other tail is a breach, and so is one that went
//     backwards. Nothing is clamped.
// Threading: one thread.
#ifndef BULKHEAD_PACKET_STREAM_RING_CONSUMER_H_
#define BULKHEAD_PACKET_STREAM_RING_CONSUMER_H_

#include <atomic>
#include <bit>
#include <cstdint>
#include <cstring>

#include "packet_stream/layout.h"

namespace bulkhead::packet_stream {

// Reads each byte of a shared entry exactly once. Atomic so that the compiler
// may neither split nor repeat the read, whatever the peer does meanwhile.
inline Ack ReadOnce(const Ack* shared) {
  return __atomic_load_n(shared, __ATOMIC_RELAXED);
}
inline Descriptor ReadOnce(const Descriptor* shared) {
  typedef uint64_t __attribute__((may_alias)) Half;
  static_assert(sizeof(Descriptor) == 2 * sizeof(Half));
  struct Halves {
    uint64_t low, high;
  } copy;
  const Half* half = reinterpret_cast<const Half*>(shared);
  copy.low = __atomic_load_n(half, __ATOMIC_RELAXED);
  copy.high = __atomic_load_n(half + 1, __ATOMIC_RELAXED);
  return std::bit_cast<Descriptor>(copy);
}

template <typename Entry>
class RingConsumer {
 public:
  RingConsumer() = default;
  // `capacity` is a power of two; `entries` has that many, 16-byte aligned.
  RingConsumer(const RingTail* tail, const Entry* entries, uint32_t capacity)
      : shared_tail_(&tail->value), entries_(entries), capacity_(capacity) {}

  // Looks for new entries if fewer than `wanted` are ready. False: the peer
  // broke the protocol.
  [[nodiscard]] bool Poll(uint32_t wanted) {
    if (ready() >= wanted) return true;
    // Pairs with RingProducer::Publish: entries up to `tail` are visible.
    return Accept(shared_tail_->load(std::memory_order_acquire));
  }
  // Like Poll, for the look after announcing sleep (doorbell.h).
  [[nodiscard]] bool PollBeforeSleep() {
    return Accept(shared_tail_->load(std::memory_order_seq_cst));
  }

  // Entries that may be read.
  uint32_t ready() const { return tail_ - head_; }
  // A copy of entry `i` of the ready ones.
  Entry Read(uint32_t i) const {
    return ReadOnce(&entries_[(head_ + i) & (capacity_ - 1)]);
  }
  void Advance(uint32_t count) { head_ += count; }

  // Asks the cache for the first `count` ready entries.
  void Prefetch(uint32_t count) const {
    constexpr uint32_t kPerLine = 64 / sizeof(Entry);
    for (uint32_t i = 0; i < count; i += kPerLine) {
      __builtin_prefetch(&entries_[(head_ + i) & (capacity_ - 1)]);
    }
  }

  // Starts an epoch: the peer's tail counts from 0 again.
  void Reset() { head_ = tail_ = 0; }

  // What the peer claims, for messages.
  uint32_t head() const { return head_; }
  uint32_t claimed_tail() const {
    return shared_tail_->load(std::memory_order_relaxed);
  }

 private:
  bool Accept(uint32_t tail) {
    const uint32_t count = tail - head_;
    if (count > capacity_ || count < ready()) return false;
    tail_ = tail;
    return true;
  }

  const std::atomic<uint32_t>* shared_tail_ = nullptr;
  const Entry* entries_ = nullptr;
  uint32_t capacity_ = 0;
  uint32_t head_ = 0;  // Free-running.
  uint32_t tail_ = 0;  // The peer's, as last believed.
};

using SubmitConsumer = RingConsumer<Descriptor>;
using AckConsumer = RingConsumer<Ack>;

}  // namespace bulkhead::packet_stream

#endif  // BULKHEAD_PACKET_STREAM_RING_CONSUMER_H_
