// The kernel as a source of frames: an XDP program, run by BPF_PROG_RUN on live
// frames (Documentation/bpf/bpf_prog_run.rst), sends them on an interface.
// Several times as fast as a packet socket, because nothing is made for a
// frame; the interface's other end must have an XDP program.
#ifndef BULKHEAD_TESTS_BENCH_LINUX_XDP_FLOOD_H_
#define BULKHEAD_TESTS_BENCH_LINUX_XDP_FLOOD_H_

#include <cstdint>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace bulkhead::bench {

class XdpFlood {
 public:
  static absl::StatusOr<XdpFlood> Create(const std::string& interface);

  // Sends the frame `count` times.
  absl::Status Send(std::span<const uint8_t> frame, uint32_t count) const;

 private:
  explicit XdpFlood(UniqueFd program) : program_(std::move(program)) {}

  UniqueFd program_;
};

}  // namespace bulkhead::bench

#endif  // BULKHEAD_TESTS_BENCH_LINUX_XDP_FLOOD_H_
