#include "clients/capture/frame_filter.h"

#include <pcap/pcap.h>

#include "absl/strings/str_cat.h"

namespace bulkhead::capture {

void FrameFilter::Free::operator()(bpf_program* program) const {
  ::pcap_freecode(program);
  delete program;
}

absl::StatusOr<FrameFilter> FrameFilter::Compile(
    const std::string& expression) {
  FrameFilter filter;
  if (expression.empty()) return filter;
  const std::unique_ptr<pcap_t, void (*)(pcap_t*)> compiler(
      ::pcap_open_dead(DLT_EN10MB, 65535), &::pcap_close);
  if (compiler == nullptr) {
    return absl::ResourceExhaustedError("compile the filter: out of memory");
  }
  auto program = std::make_unique<bpf_program>();
  if (::pcap_compile(compiler.get(), program.get(), expression.c_str(),
                     /*optimize=*/1, PCAP_NETMASK_UNKNOWN) != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "compile the filter `", expression,
        "`: ", ::pcap_geterr(compiler.get()), "; see pcap-filter(7)"));
  }
  filter.program_.reset(program.release());
  return filter;
}

bool FrameFilter::Passes(std::span<const uint8_t> bytes,
                         uint32_t length) const {
  if (program_ == nullptr) return true;
  return ::bpf_filter(program_->bf_insns, bytes.data(), length,
                      static_cast<u_int>(bytes.size())) != 0;
}

}  // namespace bulkhead::capture
