#include "nic_driver/framework/process_filter.h"

#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"

namespace bulkhead::nic_driver {

absl::Status AddProcessFilter(std::span<sock_filter> code,
                              absl::string_view purpose) {
  const sock_fprog program = {static_cast<unsigned short>(code.size()),
                              code.data()};
  // As the sandbox has done already; a process without one needs it.
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return ErrnoStatus("set no_new_privs");
  }
  // TSYNC: in all threads, or in none.
  const long thread = ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                                SECCOMP_FILTER_FLAG_TSYNC, &program);
  if (thread < 0) return ErrnoStatus(purpose);
  if (thread > 0) {
    return absl::InternalError(
        absl::StrCat(purpose, ": thread ", thread, " has filters of its own"));
  }
  return absl::OkStatus();
}

}  // namespace bulkhead::nic_driver
