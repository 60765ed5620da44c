#include "clients/nic_tap/privileges.h"

#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "base/errno_status.h"

namespace bulkhead::nic_tap {
namespace {

constexpr uid_t kNobody = 65534;

}  // namespace

absl::Status KeepOnly(uint32_t capabilities) {
  // Another user first, which takes capabilities unless told otherwise. In a
  // user namespace of one user there is none to become (EINVAL).
  if (::prctl(PR_SET_KEEPCAPS, capabilities != 0, 0, 0, 0) != 0) {
    return ErrnoStatus("keep capabilities");
  }
  if (::geteuid() == 0 && ::setgroups(0, nullptr) == 0 &&
      ::setresgid(kNobody, kNobody, kNobody) == 0 &&
      ::setresuid(kNobody, kNobody, kNobody) != 0 && errno != EINVAL) {
    return ErrnoStatus("give up root");
  }
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct kept[_LINUX_CAPABILITY_U32S_3] = {};
  kept[0].effective = kept[0].permitted = capabilities;
  if (::syscall(SYS_capset, &header, kept) != 0 ||
      ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return ErrnoStatus("give up privileges");
  }
  return absl::OkStatus();
}

}  // namespace bulkhead::nic_tap
