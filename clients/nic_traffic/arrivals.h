// What a run received: each frame in exactly one count, and the pauses between
// frames.
#ifndef BULKHEAD_CLIENTS_NIC_TRAFFIC_ARRIVALS_H_
#define BULKHEAD_CLIENTS_NIC_TRAFFIC_ARRIVALS_H_

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "clients/nic_traffic/latency_histogram.h"
#include "clients/nic_traffic/sequence_window.h"
#include "clients/nic_traffic/test_frame.h"

namespace bulkhead::nic_traffic {

// A driver's replacement as this client lived through it. Times are
// CLOCK_MONOTONIC, comparable with the events of the platform.
struct Recovery {
  uint32_t epoch = 0;
  uint64_t last_frame_ns = 0;   // Received before it.
  uint64_t noticed_ns = 0;      // The client acknowledged the new epoch.
  uint64_t first_frame_ns = 0;  // First one received from the new instance;
                                // 0: none came.
};

// A time without frames, long enough to be worth a line.
struct LongGap {
  uint64_t at_ns = 0;  // CLOCK_MONOTONIC of the frame before it.
  uint64_t ns = 0;
};

// Guarantees: received = different + duplicated + stale; frames = received +
// foreign + corrupted. No call allocates after construction.
class Arrivals {
 public:
  // `stream`: whose frames count; none: the first one seen.
  explicit Arrivals(std::optional<uint32_t> stream);

  // A whole frame, received at `now_ns`.
  void Frame(std::span<const uint8_t> bytes, uint64_t now_ns);
  // The session recovered; the next frame comes from the new instance.
  void Recovered(uint32_t epoch, uint64_t now_ns);
  // Counts the time since the last frame (or since `since_ns`, whichever is
  // later) as a pause: frames were expected until `now_ns` and none came.
  void Expected(uint64_t since_ns, uint64_t now_ns);

  const SequenceWindow& window() const { return window_; }
  const LatencyHistogram& latency() const { return latency_; }
  uint64_t received() const { return received_; }
  uint64_t foreign() const { return foreign_; }
  uint64_t corrupted() const { return corrupted_; }
  uint64_t bytes() const { return bytes_; }
  uint64_t first_ns() const { return first_ns_; }
  uint64_t last_ns() const { return last_ns_; }
  uint64_t longest_gap_ns() const { return longest_gap_ns_; }
  // When that gap began.
  uint64_t longest_gap_at_ns() const { return longest_gap_at_ns_; }
  // The first kKeptGaps of those of at least kLongGapNs.
  const std::vector<LongGap>& long_gaps() const { return long_gaps_; }
  // The first kKeptRecoveries of them.
  const std::vector<Recovery>& recoveries() const { return recoveries_; }
  uint64_t recovery_count() const { return recovery_count_; }

  static constexpr size_t kKeptRecoveries = 8192;
  static constexpr size_t kKeptGaps = 4096;
  static constexpr uint64_t kLongGapNs = 5'000'000;

 private:
  void Gap(uint64_t from_ns, uint64_t to_ns);

  std::optional<uint32_t> stream_;
  SequenceWindow window_;
  LatencyHistogram latency_;
  uint64_t received_ = 0;
  uint64_t foreign_ = 0;
  uint64_t corrupted_ = 0;
  uint64_t bytes_ = 0;
  uint64_t first_ns_ = 0;
  uint64_t last_ns_ = 0;
  uint64_t longest_gap_ns_ = 0;
  uint64_t longest_gap_at_ns_ = 0;
  std::vector<LongGap> long_gaps_;
  std::vector<Recovery> recoveries_;
  uint64_t recovery_count_ = 0;
};

}  // namespace bulkhead::nic_traffic

#endif  // BULKHEAD_CLIENTS_NIC_TRAFFIC_ARRIVALS_H_
