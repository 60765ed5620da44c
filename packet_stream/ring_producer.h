// The writing half of a ring in shared memory.
//
// Requires: never more than `capacity` entries that the consumer has not taken.
//   The callers keep this without knowing the consumer's position: each entry
//   stands for one of `capacity` buffers, and a buffer has one owner (S2).
// Threading: one thread.
#ifndef BULKHEAD_PACKET_STREAM_RING_PRODUCER_H_
#define BULKHEAD_PACKET_STREAM_RING_PRODUCER_H_

#include <atomic>
#include <cstdint>

#include "packet_stream/layout.h"
#include "packet_stream/prefetch.h"

namespace bulkhead::packet_stream {

template <typename Entry>
class RingProducer {
 public:
  RingProducer() = default;
  // `capacity` is a power of two; `entries` has room for that many.
  RingProducer(RingTail* tail, Entry* entries, uint32_t capacity)
      : shared_tail_(&tail->value), entries_(entries), mask_(capacity - 1) {}

  void Put(const Entry& entry) {
    entries_[tail_ & mask_] = entry;
    ++tail_;
  }

  bool has_unpublished() const { return tail_ != published_; }
  uint32_t unpublished() const { return tail_ - published_; }
  // Entry `i` of the unpublished ones. Our own bytes: nobody else can write
  // them.
  const Entry& Unpublished(uint32_t i) const {
    return entries_[(published_ + i) & mask_];
  }
  // Entries put since the last Reset, as long as none was overwritten.
  uint32_t tail() const { return tail_; }
  const Entry& At(uint32_t index) const { return entries_[index & mask_]; }

  // Shows the consumer everything put so far. The store is sequentially
  // consistent because Doorbell's look at `sleeping` follows it (doorbell.h);
  // as a release it pairs with the acquire in RingConsumer::Poll.
  void Publish() {
    published_ = tail_;
    shared_tail_->store(tail_, std::memory_order_seq_cst);
  }

  // Takes the lines of the next `count` entries, and the tail's, to this core.
  void PrepareToPut(uint32_t count) {
    constexpr uint32_t kPerLine = 64 / sizeof(Entry);
    for (uint32_t i = 0; i < count + kPerLine - 1; i += kPerLine) {
      PrefetchForWrite(&entries_[(tail_ + i) & mask_]);
    }
    PrefetchForWrite(shared_tail_);
  }

  // Starts an epoch with an empty ring. The store of the area's epoch, which
  // must follow, publishes it. (A session always starts at 0; only tests start
  // elsewhere, to see indices wrap.)
  void Reset(uint32_t start = 0) {
    tail_ = published_ = start;
    shared_tail_->store(start, std::memory_order_relaxed);
  }

 private:
  std::atomic<uint32_t>* shared_tail_ = nullptr;
  Entry* entries_ = nullptr;
  uint32_t mask_ = 0;
  uint32_t tail_ = 0;       // Free-running.
  uint32_t published_ = 0;  // What the shared tail says.
};

using SubmitProducer = RingProducer<Descriptor>;
using AckProducer = RingProducer<Ack>;

}  // namespace bulkhead::packet_stream

#endif  // BULKHEAD_PACKET_STREAM_RING_PRODUCER_H_
