// CPU time of threads, and where they run.
#ifndef BULKHEAD_TESTS_BENCH_ROUTER_CPU_TIME_H_
#define BULKHEAD_TESTS_BENCH_ROUTER_CPU_TIME_H_

#include <cstdint>

namespace bulkhead::bench {

// What this thread has used; in the kernel too, with softirqs on its back.
uint64_t ThreadCpuNs();
// What the kernel's softirq thread of a CPU has used; 0: it has none that can
// be seen.
uint64_t SoftirqThreadCpuNs(int cpu);
// Pins the calling thread to `cpu`, if there is such a CPU.
void PinThread(int cpu);

}  // namespace bulkhead::bench

#endif  // BULKHEAD_TESTS_BENCH_ROUTER_CPU_TIME_H_
