// Times in nanoseconds, kept as counts in buckets of 3 % width.
#ifndef BULKHEAD_CLIENTS_NIC_TRAFFIC_LATENCY_HISTOGRAM_H_
#define BULKHEAD_CLIENTS_NIC_TRAFFIC_LATENCY_HISTOGRAM_H_

#include <array>
#include <cstddef>
#include <cstdint>

namespace bulkhead::nic_traffic {

// Guarantees: Add neither allocates nor fails, whatever the value. Quantile
// errs upwards by at most one part in 32; max is exact.
class LatencyHistogram {
 public:
  void Add(uint64_t ns);

  // The value that `fraction` (0 … 1) of all values do not exceed; 0 when
  // there are none.
  uint64_t Quantile(double fraction) const;
  uint64_t max() const { return max_; }
  uint64_t min() const { return count_ == 0 ? 0 : min_; }
  uint64_t count() const { return count_; }

 private:
  static constexpr unsigned kSubBits = 5;
  static constexpr size_t kBuckets = (64 - kSubBits + 1) << kSubBits;

  static size_t BucketOf(uint64_t ns);
  static uint64_t UpperEnd(size_t bucket);

  std::array<uint64_t, kBuckets> buckets_{};
  uint64_t count_ = 0;
  uint64_t max_ = 0;
  uint64_t min_ = ~uint64_t{0};
};

}  // namespace bulkhead::nic_traffic

#endif  // BULKHEAD_CLIENTS_NIC_TRAFFIC_LATENCY_HISTOGRAM_H_
