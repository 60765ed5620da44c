#include "platform_service/linux_interface/xdp_program.h"

#include <linux/bpf.h>
#include <linux/if_link.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"

namespace bulkhead::platform {
namespace {

int Bpf(bpf_cmd command, bpf_attr* attr) {
  return static_cast<int>(::syscall(SYS_bpf, command, attr, sizeof(*attr)));
}

bpf_insn Instruction(uint8_t code, uint8_t to, uint8_t from, int16_t offset,
                     int32_t immediate) {
  bpf_insn instruction = {};
  instruction.code = code;
  instruction.dst_reg = to & 0xf;
  instruction.src_reg = from & 0xf;
  instruction.off = offset;
  instruction.imm = immediate;
  return instruction;
}

absl::StatusOr<UniqueFd> MakeMap(uint32_t queues) {
  bpf_attr attr = {};
  attr.map_type = BPF_MAP_TYPE_XSKMAP;
  attr.key_size = sizeof(uint32_t);
  attr.value_size = sizeof(uint32_t);
  attr.max_entries = queues;
  std::strncpy(attr.map_name, "bulkhead_queue", sizeof(attr.map_name) - 1);
  UniqueFd map(Bpf(BPF_MAP_CREATE, &attr));
  if (!map.valid()) return ErrnoStatus("make a map of XDP sockets");
  return map;
}

// return bpf_redirect_map(&sockets, ctx->rx_queue_index, XDP_DROP);
absl::StatusOr<UniqueFd> LoadProgram(int sockets) {
  const bpf_insn code[] = {
      Instruction(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_2, BPF_REG_1,
                  offsetof(xdp_md, rx_queue_index), 0),
      Instruction(BPF_LD | BPF_IMM | BPF_DW, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0,
                  sockets),
      Instruction(0, 0, 0, 0, 0),  // The upper half of the constant.
      Instruction(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_3, 0, 0, XDP_DROP),
      Instruction(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_redirect_map),
      Instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
  };
  char log[4096] = "";
  bpf_attr attr = {};
  attr.prog_type = BPF_PROG_TYPE_XDP;
  attr.expected_attach_type = BPF_XDP;
  attr.insn_cnt = std::size(code);
  attr.insns = reinterpret_cast<uintptr_t>(code);
  attr.license = reinterpret_cast<uintptr_t>("Apache-2.0");
  attr.log_buf = reinterpret_cast<uintptr_t>(log);
  attr.log_size = sizeof(log);
  attr.log_level = 1;
  std::strncpy(attr.prog_name, "bulkhead", sizeof(attr.prog_name) - 1);
  UniqueFd program(Bpf(BPF_PROG_LOAD, &attr));
  if (!program.valid()) {
    const absl::Status status = ErrnoStatus("load the XDP program");
    return absl::Status(status.code(),
                        absl::StrCat(status.message(), " ", log));
  }
  return program;
}

UniqueFd Link(int program, int interface_index, uint32_t mode) {
  bpf_attr attr = {};
  attr.link_create.prog_fd = static_cast<uint32_t>(program);
  attr.link_create.target_ifindex = static_cast<uint32_t>(interface_index);
  attr.link_create.attach_type = BPF_XDP;
  attr.link_create.flags = mode;
  return UniqueFd(Bpf(BPF_LINK_CREATE, &attr));
}

}  // namespace

absl::StatusOr<XdpProgram> XdpProgram::Attach(int interface_index,
                                              uint32_t queues) {
  ASSIGN_OR_RETURN(UniqueFd sockets, MakeMap(queues));
  ASSIGN_OR_RETURN(const UniqueFd program, LoadProgram(sockets.get()));
  UniqueFd link = Link(program.get(), interface_index, XDP_FLAGS_DRV_MODE);
  if (link.valid()) {
    return XdpProgram(std::move(link), std::move(sockets), true);
  }
  if (errno != EBUSY) {
    link = Link(program.get(), interface_index, XDP_FLAGS_SKB_MODE);
  }
  if (link.valid()) {
    return XdpProgram(std::move(link), std::move(sockets), false);
  }
  if (errno == EBUSY || errno == EEXIST) {
    return absl::FailedPreconditionError(
        "attach the XDP program: the interface has one of somebody else's; "
        "`ip link` shows it, and `ip link set DEV xdp off` takes it away");
  }
  return ErrnoStatus("attach the XDP program");
}

absl::Status XdpProgram::SetSocket(uint32_t queue, int socket) {
  bpf_attr attr = {};
  attr.map_fd = static_cast<uint32_t>(sockets_.get());
  attr.key = reinterpret_cast<uintptr_t>(&queue);
  attr.value = reinterpret_cast<uintptr_t>(&socket);
  if (Bpf(BPF_MAP_UPDATE_ELEM, &attr) == 0) return absl::OkStatus();
  return ErrnoStatus("lead a queue's frames to an XDP socket");
}

absl::Status XdpProgram::ClearSocket(uint32_t queue) {
  bpf_attr attr = {};
  attr.map_fd = static_cast<uint32_t>(sockets_.get());
  attr.key = reinterpret_cast<uintptr_t>(&queue);
  if (Bpf(BPF_MAP_DELETE_ELEM, &attr) == 0) return absl::OkStatus();
  // A socket that was closed has left the map by itself.
  if (errno == ENOENT || errno == EINVAL) return absl::OkStatus();
  return ErrnoStatus("lead a queue's frames away from an XDP socket");
}

}  // namespace bulkhead::platform
