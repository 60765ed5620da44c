// What one run of nic_traffic has to say.
#ifndef BULKHEAD_CLIENTS_NIC_TRAFFIC_TRAFFIC_REPORT_H_
#define BULKHEAD_CLIENTS_NIC_TRAFFIC_TRAFFIC_REPORT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "clients/nic_traffic/arrivals.h"
#include "packet_stream/client.h"

namespace bulkhead::nic_traffic {

// Frames and nanoseconds. Each frame of ours is one piece, so that the
// session's counters of pieces count frames.
struct TrafficReport {
  std::string instance;
  std::string mode;
  uint32_t frame_bytes = 0;

  uint64_t sent = 0;      // Accepted by the session.
  uint64_t not_sent = 0;  // Due by the rate while the session took no more.
  uint64_t received = 0;
  uint64_t received_bytes = 0;
  uint64_t lost = 0;  // Different numbers that never arrived.
  uint64_t duplicated = 0;
  uint64_t reordered = 0;
  uint64_t corrupted = 0;
  uint64_t foreign = 0;
  uint64_t stale = 0;
  uint64_t in_flight = 0;  // Still unacknowledged at the end.
  packet_stream::SessionCounters session;
  uint32_t epoch = 0;
  uint32_t generation = 0;

  uint64_t started_ns = 0;  // CLOCK_MONOTONIC, first frame sent or awaited.
  uint64_t elapsed_ns = 0;
  uint64_t longest_gap_ns = 0;
  uint64_t longest_gap_at_ns = 0;
  // How late the kernel woke us at worst: what a gap owes to scheduling.
  uint64_t longest_oversleep_ns = 0;
  LatencyHistogram latency;
  std::vector<LongGap> long_gaps;
  std::vector<Recovery> recoveries;

  bool interrupted = false;
  std::string error;  // Why the session ended early; else empty.

  // Of the lost ones, those that the session's own counters do not explain.
  uint64_t Unexplained() const;
  bool Lossless() const;
};

// One JSON document, one line, without a newline.
std::string ToJson(const TrafficReport& report);
// For people.
std::string ToText(const TrafficReport& report);

// The counters while a run goes on.
struct TrafficProgress {
  uint64_t now_ns = 0;
  uint64_t sent = 0;
  uint64_t received = 0;
  uint64_t lost = 0;  // So far, frames in flight not counted.
  uint64_t indeterminate = 0;
  uint64_t longest_gap_ns = 0;
  uint64_t last_frame_ns = 0;
  uint64_t recoveries = 0;
  bool link_up = false;
  std::string state;
};
std::string ToJson(const TrafficProgress& progress);

}  // namespace bulkhead::nic_traffic

#endif  // BULKHEAD_CLIENTS_NIC_TRAFFIC_TRAFFIC_REPORT_H_
