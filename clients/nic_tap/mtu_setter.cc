#include "clients/nic_tap/mtu_setter.h"

#include <linux/capability.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "clients/nic_tap/privileges.h"
#include "clients/nic_tap/tap_device.h"

namespace bulkhead::nic_tap {
namespace {

constexpr uint32_t kLongestMtu = 65535;

int SetMtu(int socket, const std::string& name, uint32_t mtu) {
  if (mtu > kLongestMtu) return EINVAL;
  ifreq request = {};
  std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
  request.ifr_mtu = static_cast<int>(mtu);
  return ::ioctl(socket, SIOCSIFMTU, &request) == 0 ? 0 : errno;
}

// The second process. Ends when the first one has closed its end.
[[noreturn]] void Serve(int channel, const std::string& name,
                        const std::string& netns) {
  ::prctl(PR_SET_NAME, "nic_tap mtu");
  // Nothing else of what the first one has.
  ::dup2(channel, 0);
  ::close_range(1, 1, 0);
  ::close_range(3, ~0u, 0);
  if (!netns.empty() && !EnterNetworkNamespace(netns).ok()) ::_exit(1);
  const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0 || !KeepOnly(1u << CAP_NET_ADMIN).ok()) ::_exit(1);
  uint32_t mtu = 0;
  while (::recv(0, &mtu, sizeof(mtu), 0) == sizeof(mtu)) {
    const int error = SetMtu(socket, name, mtu);
    if (::send(0, &error, sizeof(error), MSG_NOSIGNAL) != sizeof(error)) break;
  }
  ::_exit(0);
}

}  // namespace

absl::StatusOr<MtuSetter> MtuSetter::Start(const std::string& name,
                                           const std::string& netns) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return ErrnoStatus("make a channel to the setter of the MTU");
  }
  UniqueFd ours(ends[0]);
  const UniqueFd theirs(ends[1]);
  const pid_t pid = ::fork();
  if (pid < 0) return ErrnoStatus("start the setter of the MTU");
  if (pid == 0) Serve(theirs.get(), name, netns);
  return MtuSetter(std::move(ours));
}

absl::Status MtuSetter::Set(uint32_t mtu) const {
  const std::string what = absl::StrCat("set the MTU to ", mtu);
  int error = 0;
  if (::send(channel_.get(), &mtu, sizeof(mtu), MSG_NOSIGNAL) != sizeof(mtu) ||
      ::recv(channel_.get(), &error, sizeof(error), 0) != sizeof(error)) {
    return absl::UnavailableError(
        absl::StrCat(what, ": the process that does it has ended"));
  }
  return error == 0 ? absl::OkStatus() : ErrnoStatus(what, error);
}

}  // namespace bulkhead::nic_tap
