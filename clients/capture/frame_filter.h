// A filter as tcpdump's users write it (pcap-filter(7)), compiled by libpcap.
#ifndef BULKHEAD_CLIENTS_CAPTURE_FRAME_FILTER_H_
#define BULKHEAD_CLIENTS_CAPTURE_FRAME_FILTER_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/statusor.h"

struct bpf_program;

namespace bulkhead::capture {

class FrameFilter {
 public:
  // Empty: everything passes. InvalidArgument: libpcap's words.
  static absl::StatusOr<FrameFilter> Compile(const std::string& expression);

  // `bytes`: the frame's beginning; `length`: the whole one's.
  bool Passes(std::span<const uint8_t> bytes, uint32_t length) const;

 private:
  struct Free {
    void operator()(bpf_program* program) const;
  };
  std::unique_ptr<bpf_program, Free> program_;  // None: everything passes.
};

}  // namespace bulkhead::capture

#endif  // BULKHEAD_CLIENTS_CAPTURE_FRAME_FILTER_H_
