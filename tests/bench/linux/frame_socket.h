// A packet socket on one interface, as any program may have it.
#ifndef BULKHEAD_TESTS_BENCH_LINUX_FRAME_SOCKET_H_
#define BULKHEAD_TESTS_BENCH_LINUX_FRAME_SOCKET_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace bulkhead::bench {

// Of IEEE 802, for experiments: no stack answers it.
inline constexpr uint16_t kFrameType = 0x88b5;

// Receives what arrives of kFrameType, and none that this machine sends; sends
// past the queueing discipline. Requires root.
absl::StatusOr<UniqueFd> OpenFrameSocket(const std::string& interface);

}  // namespace bulkhead::bench

#endif  // BULKHEAD_TESTS_BENCH_LINUX_FRAME_SOCKET_H_
