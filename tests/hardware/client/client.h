// What `client` does with its session; see main.cc.
#ifndef BULKHEAD_TESTS_HARDWARE_CLIENT_CLIENT_H_
#define BULKHEAD_TESTS_HARDWARE_CLIENT_CLIENT_H_

#include <csignal>
#include <cstddef>
#include <cstdint>

#include "clients/nic_traffic/test_frame.h"
#include "packet_stream/client.h"

namespace bulkhead::hardware_tests {

// Set by SIGINT and SIGTERM.
extern volatile std::sig_atomic_t ended;

constexpr size_t kBatch = 64;

// Until `ended`. Each prints one JSON object and returns the exit status.
int Forward(packet_stream::Session& session);
int Send(packet_stream::Session& session, const nic_traffic::MacAddress& to,
         size_t frame_bytes);
int Receive(packet_stream::Session& session);
// A thread for each lane, which looks at numbered UDP frames to port 9999:
// whether each source's come to one lane, in order.
int Lanes(packet_stream::Session& session, bool echo);

// Watches `rounds` deaths of the driver. In each, for `hold_ms`, it gives
// nothing back, so that the next driver has no buffer to post, and looks
// whether a byte of its rx data changes (S4). Says `flowing` on standard output
// when the driver may be killed.
int Canary(packet_stream::Session& session, int rounds, int hold_ms);

}  // namespace bulkhead::hardware_tests

#endif  // BULKHEAD_TESTS_HARDWARE_CLIENT_CLIENT_H_
