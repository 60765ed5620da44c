#include <immintrin.h>
#include <sys/mman.h>

#include <atomic>
#include <cstring>

#include "base/clock.h"
#include "base/errno_status.h"
#include "base/shared_memory.h"
#include "packet_stream/layout.h"
#include "tests/bench/session/processes.h"
#include "tests/bench/session/stream.h"

namespace bulkhead::bench {
namespace {

using packet_stream::Descriptor;

constexpr uint32_t kEntries = 1024;
constexpr uint32_t kBufferBytes = 2048;
constexpr uint32_t kMaxBatch = 32;

struct NaiveRing {
  alignas(64) std::atomic<uint32_t> tail;
  alignas(64) std::atomic<uint32_t> ack_tail;
  alignas(64) Descriptor entries[kEntries];
  alignas(64) uint32_t acks[kEntries];
  alignas(4096) uint8_t frames[size_t{kEntries} * kBufferBytes];
};

void Receive(NaiveRing* ring, const Flow& flow) {
  uint32_t head = 0;
  uint64_t sum = 0;
  for (;;) {
    const uint32_t tail = ring->tail.load(std::memory_order_acquire);
    const uint32_t count = std::min(tail - head, flow.batch);
    if (count == 0) {
      _mm_pause();
      continue;
    }
    for (uint32_t i = 0; i < count; ++i) {
      const Descriptor piece = ring->entries[(head + i) % kEntries];
      if (flow.receiver_reads) {
        sum += *reinterpret_cast<const volatile uint64_t*>(ring->frames +
                                                           piece.offset);
      }
      ring->acks[(head + i) % kEntries] = piece.offset / kBufferBytes;
    }
    head += count;
    ring->ack_tail.store(head, std::memory_order_release);
  }
}

class Sender {
 public:
  explicit Sender(NaiveRing* ring) : ring_(ring) {
    for (uint32_t i = 0; i < kEntries; ++i) free_[i] = i;
  }

  uint64_t Send(const Flow& flow, uint64_t duration_ns, uint64_t* elapsed_ns) {
    alignas(64) uint8_t frame[2048];
    std::memset(frame, 0x5a, sizeof(frame));
    const uint64_t start = MonotonicNs();
    uint64_t now = start;
    uint64_t done = 0;
    while (now - start < duration_ns) {
      for (int turn = 0; turn < 256; ++turn) {
        const uint32_t acked = ring_->ack_tail.load(std::memory_order_acquire);
        for (; ack_head_ != acked; ++ack_head_, ++done) {
          free_[free_count_++] = ring_->acks[ack_head_ % kEntries];
        }
        const uint32_t count = std::min(free_count_, flow.batch);
        if (count == 0) {
          _mm_pause();
          continue;
        }
        for (uint32_t i = 0; i < count; ++i) {
          const uint32_t offset = free_[--free_count_] * kBufferBytes;
          std::memcpy(ring_->frames + offset, frame, flow.frame_bytes);
          ring_->entries[tail_++ % kEntries] = {
              .offset = offset,
              .length = static_cast<uint16_t>(flow.frame_bytes)};
        }
        ring_->tail.store(tail_, std::memory_order_release);
      }
      now = MonotonicNs();
    }
    *elapsed_ns = now - start;
    return done;
  }

 private:
  NaiveRing* ring_;
  uint32_t free_[kEntries];
  uint32_t free_count_ = kEntries;
  uint32_t tail_ = 0;
  uint32_t ack_head_ = 0;
};

}  // namespace

absl::StatusOr<double> MeasureNaiveRing(const Flow& flow) {
  constexpr size_t kBytes = RoundUpToPage(sizeof(NaiveRing));
  ASSIGN_OR_RETURN(const UniqueFd memory,
                   CreateSealedMemory("naive_ring", kBytes));
  ASSIGN_OR_RETURN(
      const Mapping mapping,
      Mapping::MapSealed(memory.get(), kBytes, Access::kReadWrite));
  auto* ring = mapping.As<NaiveRing>();
  ASSIGN_OR_RETURN(
      ForkedProcess receiver,
      ForkedProcess::Run(kReceiverCpu, [&] { Receive(ring, flow); }));
  PinTo(kSenderCpu);
  Sender sender(ring);
  uint64_t elapsed_ns = 0;
  sender.Send(flow, 20'000'000, &elapsed_ns);  // Warm-up.
  const uint64_t done =
      sender.Send(flow, uint64_t{flow.milliseconds} * 1'000'000, &elapsed_ns);
  return static_cast<double>(done) * 1e3 / static_cast<double>(elapsed_ns);
}

}  // namespace bulkhead::bench
