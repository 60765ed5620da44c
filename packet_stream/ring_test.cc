// Shows that a ring delivers what was published, once and in order, and refuses
// every tail that an honest producer cannot have written: by trying all
// sequences of operations at capacities 1, 2 and 4, across the wrap of the
// indices, against a queue.
#include <gtest/gtest.h>

#include <cstdint>
#include <deque>
#include <vector>

#include "packet_stream/ring_consumer.h"
#include "packet_stream/ring_producer.h"

namespace bulkhead::packet_stream {
namespace {

// So near to the wrap that short sequences cross it.
constexpr uint32_t kStarts[] = {0, 0xffffffff, 0xfffffffd};

struct Ring {
  explicit Ring(uint32_t capacity, uint32_t start)
      : entries(capacity),
        producer(&tail, entries.data(), capacity),
        consumer(&tail, entries.data(), capacity) {
    producer.Reset(start);
    consumer.Reset(start);
  }
  RingTail tail = {};
  std::vector<Ack> entries;
  AckProducer producer;
  AckConsumer consumer;
};

enum Operation { kPut, kPublish, kTake, kTakeAll, kOperations };

// Runs the sequence of operations that `code` spells in base kOperations.
void RunSequence(uint32_t capacity, uint32_t start, uint32_t code, int length) {
  Ring ring(capacity, start);
  std::deque<Ack> unpublished;
  std::deque<Ack> published;
  Ack next = 100;
  const auto take = [&](uint32_t most) {
    ASSERT_TRUE(ring.consumer.Poll(most));
    const uint32_t count = std::min(ring.consumer.ready(), most);
    ASSERT_EQ(count, std::min<size_t>(published.size(), most));
    for (uint32_t i = 0; i < count; ++i) {
      ASSERT_EQ(ring.consumer.Read(i), published.front());
      published.pop_front();
    }
    ring.consumer.Advance(count);
  };
  for (int step = 0; step < length; ++step, code /= kOperations) {
    switch (code % kOperations) {
      case kPut:
        // The caller's promise: no more entries than there are buffers.
        if (unpublished.size() + published.size() == capacity) break;
        ring.producer.Put(next);
        unpublished.push_back(next++);
        break;
      case kPublish:
        ring.producer.Publish();
        published.insert(published.end(), unpublished.begin(),
                         unpublished.end());
        unpublished.clear();
        break;
      case kTake:
        take(1);
        break;
      default:
        take(capacity);
    }
    ASSERT_EQ(ring.producer.unpublished(), unpublished.size());
  }
}

TEST(Ring, EverySequenceDeliversOnceAndInOrder) {
  constexpr int kLength = 8;
  constexpr uint32_t kSequences = 1u << (2 * kLength);
  static_assert(kOperations == 4);
  for (const uint32_t capacity : {1u, 2u, 4u}) {
    for (const uint32_t start : kStarts) {
      for (uint32_t code = 0; code < kSequences; ++code) {
        RunSequence(capacity, start, code, kLength);
        if (HasFatalFailure()) {
          FAIL() << "capacity " << capacity << " start " << start
                 << " sequence " << code;
        }
      }
    }
  }
}

// Every tail that a peer can write is either believed, and then lies at most
// `capacity` ahead and not behind what was believed before, or a breach that
// leaves the consumer as it was.
TEST(Ring, S7_EveryTailIsBelievedOrRefused) {
  for (const uint32_t capacity : {1u, 2u, 4u}) {
    for (const uint32_t start : kStarts) {
      for (uint32_t seen = 0; seen <= capacity; ++seen) {
        for (uint32_t delta = -8u; delta != 9; ++delta) {
          Ring ring(capacity, start);
          ring.tail.value = start + seen;
          ASSERT_TRUE(ring.consumer.Poll(capacity + 1));
          ASSERT_EQ(ring.consumer.ready(), seen);
          ring.tail.value = start + delta;
          const bool honest = delta >= seen && delta <= capacity;
          EXPECT_EQ(ring.consumer.Poll(capacity + 1), honest)
              << "capacity " << capacity << " delta " << int32_t(delta);
          EXPECT_EQ(ring.consumer.ready(), honest ? delta : seen);
        }
      }
    }
  }
}

TEST(Ring, S7_ADescriptorCopyKeepsEachField) {
  alignas(16) const Descriptor shared = {.offset = 0x01020304,
                                         .length = 0x0506,
                                         .flags = 0x0708,
                                         .checksum_start = 0x090a,
                                         .checksum_offset = 0x0b0c,
                                         .segments = 0x0d0e0f10};
  const DescriptorCopy copy = ReadOnce(&shared);
  EXPECT_EQ(copy.offset(), shared.offset);
  EXPECT_EQ(copy.length(), shared.length);
  EXPECT_EQ(copy.flags(), shared.flags);
  EXPECT_EQ(copy.checksum_start(), shared.checksum_start);
  EXPECT_EQ(copy.checksum_offset(), shared.checksum_offset);
  EXPECT_EQ(copy.segments(), shared.segments);
  Descriptor out;
  copy.WriteTo(&out);
  EXPECT_EQ(std::memcmp(&out, &shared, sizeof(out)), 0);
}

}  // namespace
}  // namespace bulkhead::packet_stream
