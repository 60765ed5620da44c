// One measurement of frames that flow from one process to another.
#ifndef BULKHEAD_TESTS_BENCH_SESSION_STREAM_H_
#define BULKHEAD_TESTS_BENCH_SESSION_STREAM_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace bulkhead::bench {

// What flows. The sender copies each frame once, from private memory into the
// shared area; the receiver takes the descriptor and gives the buffer back.
struct Flow {
  uint32_t frame_bytes = 64;
  uint32_t batch = 32;
  // The receiver loads the frame's first word, as a program would. A driver
  // does not: only its NIC reads frames.
  bool receiver_reads = false;
  uint32_t milliseconds = 200;
};

// The sender runs on processor 1, the receiver, a forked process, on 0.
constexpr int kReceiverCpu = 0;
constexpr int kSenderCpu = 1;

// Frames per microsecond (Mpps) that came back to the sender acknowledged.
absl::StatusOr<double> MeasureSession(const Flow& flow);
// The same with a single-producer single-consumer ring and nothing else: no
// check, no ownership, no epoch, no wake-up. The floor.
absl::StatusOr<double> MeasureNaiveRing(const Flow& flow);

}  // namespace bulkhead::bench

#endif  // BULKHEAD_TESTS_BENCH_SESSION_STREAM_H_
