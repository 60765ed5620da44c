// How much memory a process holds, and of which kind.
#ifndef BULKHEAD_TESTS_BENCH_MEMORY_MAP_H_
#define BULKHEAD_TESTS_BENCH_MEMORY_MAP_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace bulkhead::bench {

// KiB, from /proc/PID/smaps. The kernel counts a page of shared memory as
// "private" while only one process maps it, so that a ring may or may not be in
// Private_Dirty by chance: here shared mappings (rings, control areas, status
// and counter pages) are apart.
struct MemoryUse {
  uint64_t private_dirty = 0;         // Of private mappings.
  uint64_t shared_dirty = 0;          // Touched pages of shared mappings.
  uint64_t rollup_private_dirty = 0;  // What smaps_rollup calls Private_Dirty.
  uint64_t resident = 0;
};
absl::StatusOr<MemoryUse> ReadMemoryUse(int pid);

}  // namespace bulkhead::bench

#endif  // BULKHEAD_TESTS_BENCH_MEMORY_MAP_H_
