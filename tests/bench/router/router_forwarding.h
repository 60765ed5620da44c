// The router's forwarding with NAT: its engine on real sessions, in a thread of
// its own; the bench plays the client that sends and the driver that the frames
// go to.
//
// The router's cost is all of its thread's: taking frames from the client's
// session, forwarding, copying them into the uplink's. CPU time is counted
// while there was something to forward (`busy`); a turn that found nothing is
// waiting.
#ifndef BULKHEAD_TESTS_BENCH_ROUTER_ROUTER_FORWARDING_H_
#define BULKHEAD_TESTS_BENCH_ROUTER_ROUTER_FORWARDING_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "tests/bench/router/linux_forwarding.h"
#include "tests/bench/router/test_flows.h"

namespace bulkhead::bench {

class RouterUnderTest {
 public:
  static absl::StatusOr<std::unique_ptr<RouterUnderTest>> Start();
  virtual ~RouterUnderTest() = default;
  // As ForwardByLinux; cpu_ns is the router thread's alone.
  virtual absl::StatusOr<Forwarded> Forward(uint32_t first_flow, uint32_t flows,
                                            Mix mix, uint32_t milliseconds) = 0;
};

// The same client on a session whose provider takes the frames itself.
absl::StatusOr<Forwarded> SendDirectly(Mix mix, uint32_t milliseconds);

}  // namespace bulkhead::bench

#endif  // BULKHEAD_TESTS_BENCH_ROUTER_ROUTER_FORWARDING_H_
