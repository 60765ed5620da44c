// What this machine can do at best: the figures that benchmarks are held
// against, measured in the same run.
#ifndef BULKHEAD_TESTS_BENCH_FLOORS_H_
#define BULKHEAD_TESTS_BENCH_FLOORS_H_

#include <string>

#include "absl/status/statusor.h"
#include "tests/bench/report.h"

namespace bulkhead::bench {

// Each takes `repetitions` samples in microseconds.

// kill(2) with SIGKILL to the moment that another process's pidfd is readable
// and poll(2) has returned.
absl::StatusOr<Samples> KillToPidfd(const std::string& child, int repetitions);
// posix_spawn of a static program with protobuf-lite (`floor_child`) to its
// first message on a seqpacket channel.
absl::StatusOr<Samples> SpawnToReady(const std::string& child, int repetitions);
// Of this, what the C library's start spends on CPUID, which a hypervisor
// traps: glibc 2.36 executes it 68 times before main on an Intel CPU. 0 on
// others.
Samples CpuidAtStart(int repetitions);
// There and back over two eventfds between two processes that sleep in poll.
absl::StatusOr<Samples> EventfdRoundTrip(int repetitions);

// Private dirty KiB of `floor_child` once it is ready.
absl::StatusOr<double> ChildPrivateKib(const std::string& child);

// Where floor_child was built to.
std::string FloorChild(const std::string& bin_dir);

}  // namespace bulkhead::bench

#endif  // BULKHEAD_TESTS_BENCH_FLOORS_H_
