// IO addresses of one instance's container (S3).
#ifndef BULKHEAD_PLATFORM_SERVICE_DEVICES_IOVA_ALLOCATOR_H_
#define BULKHEAD_PLATFORM_SERVICE_DEVICES_IOVA_ALLOCATOR_H_

#include <cstdint>
#include <map>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace bulkhead::platform {

// Guarantees: ranges that are held never overlap, and an unmapped page lies
// behind each, so that DMA past an area's end faults and does not reach the
// next area. Lowest fit, so that devices with 32 address bits are served while
// the space below 4 GiB lasts.
class IovaAllocator {
 public:
  // `bytes`: a multiple of 4096, at most 16 GiB. ResourceExhausted: full.
  absl::StatusOr<uint64_t> Allocate(uint64_t bytes);
  // Takes exactly this range, as it was held before a restart.
  absl::Status Reserve(uint64_t iova, uint64_t bytes);
  // Harmless for a range that is not held.
  void Free(uint64_t iova) { held_.erase(iova); }

 private:
  std::map<uint64_t, uint64_t> held_;  // Start to bytes, guard included.
};

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_DEVICES_IOVA_ALLOCATOR_H_
