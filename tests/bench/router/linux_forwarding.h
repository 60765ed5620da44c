// Linux's own forwarding with nftables' masquerade, between the namespaces that
// run.sh made.
//
// Frames go into one end of a veth pair; the other end is the router's, which
// sends them out of a second pair, whose far end discards them as another
// host's. All of that runs on the sender's CPU, in its system calls and the
// softirqs on their back (and the softirq thread, which is counted too), so
// that its CPU time is the whole cost. The cost of sending alone is measured
// with the same frames to another MAC, which the router's interface discards,
// and taken off: what remains is forwarding and NAT, without the veth pair's
// own work.
#ifndef BULKHEAD_TESTS_BENCH_ROUTER_LINUX_FORWARDING_H_
#define BULKHEAD_TESTS_BENCH_ROUTER_LINUX_FORWARDING_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "tests/bench/router/test_flows.h"

namespace bulkhead::bench {

// What run.sh prepared.
struct LinuxNetwork {
  std::string interface;          // In this process's namespace.
  std::string outside_namespace;  // Where the frames arrive,
  std::string outside_interface;  // and at what.
  Mac client_mac{};
  Mac router_mac{};
};

struct Forwarded {
  uint64_t frames = 0;  // That arrived.
  uint64_t sent = 0;
  uint64_t cpu_ns = 0;  // With sending them.
  uint64_t wall_ns = 0;
};

// Sends for so long, or so many frames once when `milliseconds` is 0.
absl::StatusOr<Forwarded> ForwardByLinux(const LinuxNetwork& network,
                                         uint32_t first_flow, uint32_t flows,
                                         Mix mix, uint32_t milliseconds);
// The same frames, discarded at the router's door; `frames` = `sent`.
absl::StatusOr<Forwarded> SendToNobody(const LinuxNetwork& network,
                                       uint32_t flows, Mix mix,
                                       uint32_t milliseconds);

}  // namespace bulkhead::bench

#endif  // BULKHEAD_TESTS_BENCH_ROUTER_LINUX_FORWARDING_H_
