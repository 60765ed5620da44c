#include "tests/bench/linux/xdp_flood.h"

#include <linux/bpf.h>
#include <net/if.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <iterator>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"

// Of Linux 5.18; with older headers.
#ifndef BPF_F_TEST_XDP_LIVE_FRAMES
#define BPF_F_TEST_XDP_LIVE_FRAMES (1U << 1)
#endif

namespace bulkhead::bench {
namespace {

int Bpf(bpf_cmd command, bpf_attr* attr) {
  return static_cast<int>(::syscall(SYS_bpf, command, attr, sizeof(*attr)));
}

bpf_insn Instruction(uint8_t code, uint8_t to, int32_t immediate) {
  bpf_insn instruction = {};
  instruction.code = code;
  instruction.dst_reg = to & 0xf;
  instruction.imm = immediate;
  return instruction;
}

}  // namespace

// return bpf_redirect(interface, 0);
absl::StatusOr<XdpFlood> XdpFlood::Create(const std::string& interface) {
  const unsigned index = ::if_nametoindex(interface.c_str());
  if (index == 0) return ErrnoStatus(absl::StrCat("find ", interface));
  constexpr uint8_t kMove = BPF_ALU64 | BPF_MOV | BPF_K;
  const bpf_insn code[] = {
      Instruction(kMove, BPF_REG_1, static_cast<int32_t>(index)),
      Instruction(kMove, BPF_REG_2, 0),
      Instruction(BPF_JMP | BPF_CALL, 0, BPF_FUNC_redirect),
      Instruction(BPF_JMP | BPF_EXIT, 0, 0),
  };
  bpf_attr attr = {};
  attr.prog_type = BPF_PROG_TYPE_XDP;
  attr.insn_cnt = std::size(code);
  attr.insns = reinterpret_cast<uintptr_t>(code);
  attr.license = reinterpret_cast<uintptr_t>("Apache-2.0");
  UniqueFd program(Bpf(BPF_PROG_LOAD, &attr));
  if (!program.valid()) return ErrnoStatus("load an XDP program");
  return XdpFlood(std::move(program));
}

absl::Status XdpFlood::Send(std::span<const uint8_t> frame,
                            uint32_t count) const {
  bpf_attr attr = {};
  attr.test.prog_fd = static_cast<uint32_t>(program_.get());
  attr.test.data_in = reinterpret_cast<uintptr_t>(frame.data());
  attr.test.data_size_in = static_cast<uint32_t>(frame.size());
  attr.test.repeat = count;
  attr.test.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
  if (Bpf(BPF_PROG_TEST_RUN, &attr) == 0) return absl::OkStatus();
  return ErrnoStatus("run an XDP program on live frames");
}

}  // namespace bulkhead::bench
