// The same flow through DPDK: testpmd txonly → memif → testpmd rxonly.
#ifndef BULKHEAD_TESTS_BENCH_SESSION_MEMIF_PAIR_H_
#define BULKHEAD_TESTS_BENCH_SESSION_MEMIF_PAIR_H_

#include "absl/status/statusor.h"
#include "tests/bench/session/stream.h"

namespace bulkhead::bench {

// True if Debian's dpdk-testpmd is installed.
bool HaveTestpmd();

// Mpps that the receiving testpmd reports, each process on one processor as in
// MeasureSession. Takes about five seconds; ends both processes and removes
// their files. Flow::milliseconds and receiver_reads do not apply: testpmd
// measures over a second, and memif copies each frame out.
absl::StatusOr<double> MeasureMemif(const Flow& flow);

}  // namespace bulkhead::bench

#endif  // BULKHEAD_TESTS_BENCH_SESSION_MEMIF_PAIR_H_
