// client: programs on a session of a NIC, for tests and benchmarks in the
// guest.
//
//   client forward INSTANCE [BUFFER_BYTES]
//       sends each frame back to where it came from
//   client send INSTANCE MAC BYTES
//       sends numbered test frames as fast as they go
//   client receive INSTANCE
//       counts what comes
//   client lanes INSTANCE LANES [echo]
//       counts what comes to each lane, and whether flows stay on one; with
//       echo it sends each frame back by the lane that it came on
//   client canary INSTANCE ROUNDS HOLD_MS
//       watches that no byte of its rx data changes after a driver's death
//
// Until SIGTERM or, for canary, the last round. Prints one JSON object, after a
// line `ready` on standard error once its session is open and has link.
#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "tests/hardware/client/client.h"

namespace bulkhead::hardware_tests {

volatile std::sig_atomic_t ended = 0;

namespace {

constexpr uint64_t kLinkDeadlineNs = 120'000'000'000;

bool AwaitLink(packet_stream::Session& session) {
  const uint64_t deadline_ns = MonotonicNs() + kLinkDeadlineNs;
  while (!ended && MonotonicNs() < deadline_ns) {
    const packet_stream::SessionStatus status = session.status();
    if (status.state == packet_stream::SessionState::kRunning &&
        status.link_up) {
      return true;
    }
    session.Flush();
    session.Wait(10);
  }
  std::fprintf(stderr, "client: no link\n");
  return false;
}

int Usage() {
  std::fprintf(stderr,
               "usage: client forward INSTANCE [BUFFER_BYTES]\n"
               "       client send INSTANCE MAC BYTES\n"
               "       client receive INSTANCE\n"
               "       client lanes INSTANCE LANES [echo]\n"
               "       client canary INSTANCE ROUNDS HOLD_MS\n");
  return 2;
}

int Run(int argc, char** argv) {
  if (argc < 3) return Usage();
  const std::string mode = argv[1];
  const auto number = [&](int index) { return std::atoi(argv[index]); };
  packet_stream::OpenOptions options;
  options.label = "client";
  options.instance = argv[2];
  nic_traffic::MacAddress to = {};
  if (mode == "send") {
    if (argc != 5 ||
        std::sscanf(argv[3], "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", &to[0],
                    &to[1], &to[2], &to[3], &to[4], &to[5]) != 6) {
      return Usage();
    }
  } else if (mode == "canary") {
    if (argc != 5) return Usage();
  } else if (mode == "lanes") {
    if (argc != 4 && argc != 5) return Usage();
    options.geometry.lanes = static_cast<uint32_t>(number(3));
  } else if (mode == "forward" && argc == 4) {
    options.geometry.buffer_bytes = static_cast<uint32_t>(number(3));
  } else if ((mode != "forward" && mode != "receive") || argc != 3) {
    return Usage();
  }
  auto session = packet_stream::Session::Open(options);
  if (!session.ok()) {
    std::fprintf(stderr, "client: %s\n", session.status().ToString().c_str());
    return 1;
  }
  if (!AwaitLink(**session)) return 1;
  std::fprintf(stderr, "ready\n");
  if (mode == "forward") return Forward(**session);
  if (mode == "receive") return Receive(**session);
  if (mode == "lanes") return Lanes(**session, argc == 5);
  if (mode == "canary") return Canary(**session, number(3), number(4));
  const int bytes =
      std::max(number(4), static_cast<int>(nic_traffic::kMinFrameBytes));
  return Send(**session, to, static_cast<size_t>(bytes));
}

}  // namespace
}  // namespace bulkhead::hardware_tests

int main(int argc, char** argv) {
  bulkhead::SetLogName("client");
  struct sigaction action {};
  action.sa_handler = [](int) { bulkhead::hardware_tests::ended = 1; };
  ::sigaction(SIGTERM, &action, nullptr);
  ::sigaction(SIGINT, &action, nullptr);
  return bulkhead::hardware_tests::Run(argc, argv);
}
