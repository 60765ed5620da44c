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
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "packet_stream/layout.h"
#include "packet_stream/prefetch.h"

namespace bulkhead::packet_stream {

// A private copy of a descriptor, in two registers: a copy in memory would be
// written in halves and read whole, which stalls the store buffer.
class DescriptorCopy {
 public:
  DescriptorCopy(uint64_t low, uint64_t high) : low_(low), high_(high) {}

  uint32_t offset() const { return static_cast<uint32_t>(low_); }
  uint16_t length() const { return static_cast<uint16_t>(low_ >> 32); }
  uint16_t flags() const { return static_cast<uint16_t>(low_ >> 48); }
  uint16_t checksum_start() const { return static_cast<uint16_t>(high_); }
  uint16_t checksum_offset() const {
    return static_cast<uint16_t>(high_ >> 16);
  }
  uint32_t segments() const { return static_cast<uint32_t>(high_ >> 32); }

  void WriteTo(Descriptor* out) const {
    auto* bytes = reinterpret_cast<uint8_t*>(out);
    std::memcpy(bytes, &low_, sizeof(low_));
    std::memcpy(bytes + sizeof(low_), &high_, sizeof(high_));
  }

 private:
  static_assert(std::endian::native == std::endian::little &&
                offsetof(Descriptor, length) == 4 &&
                offsetof(Descriptor, flags) == 6 &&
                offsetof(Descriptor, checksum_start) == 8 &&
                offsetof(Descriptor, checksum_offset) == 10 &&
                offsetof(Descriptor, segments) == 12);
  uint64_t low_;
  uint64_t high_;
};

// Reads each byte of a shared entry exactly once. Atomic so that the compiler
// may neither split nor repeat the read, whatever the peer does meanwhile.
inline Ack ReadOnce(const Ack* shared) {
  return __atomic_load_n(shared, __ATOMIC_RELAXED);
}
inline DescriptorCopy ReadOnce(const Descriptor* shared) {
  typedef uint64_t __attribute__((may_alias)) Half;
  static_assert(sizeof(Descriptor) == 2 * sizeof(Half));
  const Half* half = reinterpret_cast<const Half*>(shared);
  return {__atomic_load_n(half, __ATOMIC_RELAXED),
          __atomic_load_n(half + 1, __ATOMIC_RELAXED)};
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
  auto Read(uint32_t i) const {
    return ReadOnce(&entries_[(head_ + i) & (capacity_ - 1)]);
  }
  void Advance(uint32_t count) { head_ += count; }

  // Asks the cache for the first `count` ready entries.
  void Prefetch(uint32_t count) const {
    constexpr uint32_t kPerLine = 64 / sizeof(Entry);
    for (uint32_t i = 0; i < count; i += kPerLine) {
      PrefetchForRead(&entries_[(head_ + i) & (capacity_ - 1)]);
    }
  }

  // Starts an epoch: the peer's tail counts from `start` again.
  void Reset(uint32_t start = 0) { head_ = tail_ = start; }

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
