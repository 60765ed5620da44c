// One nic_traffic process of the demo: its live counters and its report.
#ifndef BULKHEAD_CLIENTS_BULKHEAD_DEMO_TRAFFIC_H_
#define BULKHEAD_CLIENTS_BULKHEAD_DEMO_TRAFFIC_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace bulkhead::cli {

// The last line of --progress-fd.
struct LiveTraffic {
  uint64_t sent = 0;
  uint64_t received = 0;
  uint64_t lost = 0;
  uint64_t longest_gap_ns = 0;
  uint64_t recoveries = 0;
  std::string state = "starting";
};

// Of the document at the end.
struct TrafficResult {
  uint64_t sent = 0;
  uint64_t received = 0;
  uint64_t lost = 0;
  uint64_t duplicated = 0;
  uint64_t corrupted = 0;
  uint64_t indeterminate = 0;
  uint64_t longest_gap_ns = 0;
  uint64_t latency_p50_ns = 0;
  // When the first frame after each recovery came; 0: never.
  std::vector<uint64_t> first_frames_ns;
  std::string error;
};

// Both read what our own program printed; anything else in it is ignored, and
// text that is no JSON object changes nothing.
void ReadProgressLine(const std::string& line, LiveTraffic& live);
std::optional<TrafficResult> ReadTrafficReport(const std::string& text);

// Guarantees: the process ends with its object.
class TrafficProcess {
 public:
  // `program` is nic_traffic; --json and --progress-fd are added.
  static absl::StatusOr<std::unique_ptr<TrafficProcess>> Start(
      const std::string& program, std::vector<std::string> arguments);
  ~TrafficProcess();

  // Takes in what the process has written so far; does not block.
  void Look();
  bool ended() const { return ended_; }
  const LiveTraffic& live() const { return live_; }
  // Once ended: its report, or what it complained of.
  absl::StatusOr<TrafficResult> Result() const;

 private:
  TrafficProcess() = default;

  pid_t pid_ = 0;
  UniqueFd pidfd_;
  UniqueFd output_;
  UniqueFd errors_;
  UniqueFd progress_;
  std::string output_text_;
  std::string error_text_;
  std::string progress_text_;
  LiveTraffic live_;
  bool ended_ = false;
};

}  // namespace bulkhead::cli

#endif  // BULKHEAD_CLIENTS_BULKHEAD_DEMO_TRAFFIC_H_
