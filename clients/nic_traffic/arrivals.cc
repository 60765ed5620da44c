#include "clients/nic_traffic/arrivals.h"

#include <algorithm>

namespace bulkhead::nic_traffic {

Arrivals::Arrivals(std::optional<uint32_t> stream) : stream_(stream) {
  recoveries_.reserve(kKeptRecoveries);
  long_gaps_.reserve(kKeptGaps);
}

void Arrivals::Gap(uint64_t from_ns, uint64_t to_ns) {
  if (to_ns <= from_ns) return;
  const uint64_t ns = to_ns - from_ns;
  if (ns >= kLongGapNs && long_gaps_.size() < kKeptGaps) {
    long_gaps_.push_back({.at_ns = from_ns, .ns = ns});
  }
  if (ns <= longest_gap_ns_) return;
  longest_gap_ns_ = ns;
  longest_gap_at_ns_ = from_ns;
}

void Arrivals::Frame(std::span<const uint8_t> bytes, uint64_t now_ns) {
  TestFrame frame;
  const FrameKind kind = ReadTestFrame(bytes, frame);
  if (kind == FrameKind::kCorrupt) {
    ++corrupted_;
    return;
  }
  if (kind == FrameKind::kTest && !stream_.has_value()) stream_ = frame.stream;
  if (kind == FrameKind::kForeign || frame.stream != *stream_) {
    ++foreign_;
    return;
  }
  ++received_;
  bytes_ += bytes.size();
  window_.Add(frame.sequence);
  latency_.Add(now_ns > frame.sent_ns ? now_ns - frame.sent_ns : 0);
  if (first_ns_ == 0) {
    first_ns_ = now_ns;
  } else {
    Gap(last_ns_, now_ns);
  }
  last_ns_ = now_ns;
  if (!recoveries_.empty() && recoveries_.size() == recovery_count_ &&
      recoveries_.back().first_frame_ns == 0) {
    recoveries_.back().first_frame_ns = now_ns;
  }
}

void Arrivals::Recovered(uint32_t epoch, uint64_t now_ns) {
  ++recovery_count_;
  if (recoveries_.size() == kKeptRecoveries) return;
  recoveries_.push_back(
      {.epoch = epoch, .last_frame_ns = last_ns_, .noticed_ns = now_ns});
}

void Arrivals::Expected(uint64_t since_ns, uint64_t now_ns) {
  Gap(std::max(since_ns, last_ns_), now_ns);
}

}  // namespace bulkhead::nic_traffic
