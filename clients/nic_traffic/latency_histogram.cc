#include "clients/nic_traffic/latency_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace bulkhead::nic_traffic {

// Values below 2^kSubBits have a bucket each; above, each power of two is cut
// into 2^kSubBits equal buckets.
size_t LatencyHistogram::BucketOf(uint64_t ns) {
  constexpr uint64_t kSubCount = uint64_t{1} << kSubBits;
  if (ns < kSubCount) return ns;
  const unsigned shift = std::bit_width(ns) - 1 - kSubBits;
  return ((size_t{shift} + 1) << kSubBits) + ((ns >> shift) - kSubCount);
}

uint64_t LatencyHistogram::UpperEnd(size_t bucket) {
  constexpr uint64_t kSubCount = uint64_t{1} << kSubBits;
  if (bucket < kSubCount) return bucket;
  const unsigned shift = static_cast<unsigned>(bucket >> kSubBits) - 1;
  const uint64_t sub = kSubCount + (bucket & (kSubCount - 1));
  return (sub << shift) + ((uint64_t{1} << shift) - 1);
}

void LatencyHistogram::Add(uint64_t ns) {
  ++buckets_[BucketOf(ns)];
  ++count_;
  max_ = std::max(max_, ns);
  min_ = std::min(min_, ns);
}

uint64_t LatencyHistogram::Quantile(double fraction) const {
  if (count_ == 0) return 0;
  const double wanted = std::ceil(fraction * static_cast<double>(count_));
  const uint64_t rank =
      std::clamp<uint64_t>(static_cast<uint64_t>(wanted), 1, count_);
  uint64_t seen = 0;
  for (size_t bucket = 0; bucket < kBuckets; ++bucket) {
    seen += buckets_[bucket];
    if (seen >= rank) return std::min(UpperEnd(bucket), max_);
  }
  return max_;
}

}  // namespace bulkhead::nic_traffic
