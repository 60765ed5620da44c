// CLOCK_MONOTONIC, the one clock of every event, deadline and measurement.
#ifndef BULKHEAD_BASE_CLOCK_H_
#define BULKHEAD_BASE_CLOCK_H_

#include <time.h>

#include <cstdint>

namespace bulkhead {

// Nanoseconds since boot, comparable between the processes of one machine.
inline uint64_t MonotonicNs() {
  timespec now;
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u +
         static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace bulkhead

#endif  // BULKHEAD_BASE_CLOCK_H_
