#include "nic_driver/framework/socket_confinement.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#include <cstddef>
#include <cstdint>

#include "nic_driver/framework/process_filter.h"

namespace bulkhead::nic_driver {
namespace {

constexpr uint32_t LowOf(int argument) {
  return offsetof(seccomp_data, args) + argument * sizeof(uint64_t);
}
constexpr uint32_t HighOf(int argument) {
  return LowOf(argument) + sizeof(uint32_t);
}
constexpr int kAddress = 4;  // Of sendto.

constexpr sock_filter Load(uint32_t offset) {
  return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset);
}
// Skips so many instructions when the loaded value is, or is not, `k`.
constexpr sock_filter Jump(uint32_t k, uint8_t equal, uint8_t other) {
  return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, equal, other);
}
constexpr sock_filter Return(uint32_t action) {
  return BPF_STMT(BPF_RET | BPF_K, action);
}

}  // namespace

absl::Status ConfineSockets() {
  sock_filter code[] = {
      Load(offsetof(seccomp_data, arch)),
      Jump(AUDIT_ARCH_X86_64, 0, 9),
      Load(offsetof(seccomp_data, nr)),
      Jump(SYS_sendmsg, 7, 0),
      Jump(SYS_sendmmsg, 6, 0),
      Jump(SYS_setsockopt, 5, 0),
      Jump(SYS_sendto, 0, 5),
      Load(LowOf(kAddress)),
      Jump(0, 0, 2),
      Load(HighOf(kAddress)),
      Jump(0, 1, 0),
      Return(SECCOMP_RET_TRAP),
      Return(SECCOMP_RET_ALLOW),
  };
  return AddProcessFilter(code, "confine the process's sockets");
}

}  // namespace bulkhead::nic_driver
