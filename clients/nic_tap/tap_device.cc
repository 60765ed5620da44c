#include "clients/nic_tap/tap_device.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "clients/nic_tap/offloads.h"

namespace bulkhead::nic_tap {
namespace {

constexpr char kDevice[] = "/dev/net/tun";

ifreq RequestFor(const std::string& name) {
  ifreq request = {};
  std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
  return request;
}

absl::Status CannotCreate(const std::string& name) {
  const std::string what = absl::StrCat("create the TAP device ", name);
  switch (errno) {
    case EPERM:
      return absl::PermissionDeniedError(absl::StrCat(
          what,
          ": not permitted; run as root, or in a user namespace of your "
          "own (unshare -Urn), or let root make it for you: ip tuntap add ",
          name, " mode tap user ", ::geteuid()));
    case EBUSY:
      return absl::AlreadyExistsError(
          absl::StrCat(what, ": another program has it open"));
    case EINVAL:
      return absl::AlreadyExistsError(absl::StrCat(
          what,
          ": an interface of this name exists that is no TAP device, or "
          "one of several queues; choose another name with --tap"));
    default:
      return ErrnoStatus(what);
  }
}

}  // namespace

absl::Status EnterNetworkNamespace(const std::string& netns) {
  const bool is_path = netns.find('/') != std::string::npos;
  const std::string path = is_path ? netns : absl::StrCat("/run/netns/", netns);
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) {
    const absl::Status status =
        ErrnoStatus(absl::StrCat("open the network namespace ", path));
    if (is_path) return status;
    return absl::Status(status.code(),
                        absl::StrCat(status.message(),
                                     "; `ip netns` lists those that have a "
                                     "name, `ip netns add ",
                                     netns, "` makes one"));
  }
  if (::setns(fd.get(), CLONE_NEWNET) == 0) return absl::OkStatus();
  return ErrnoStatus(
      errno == EPERM
          ? absl::StrCat("enter the network namespace ", path,
                         ": this needs root, or the user namespace that it "
                         "belongs to")
          : absl::StrCat("enter the network namespace ", path));
}

absl::StatusOr<TapDevice> TapDevice::Create(const std::string& name) {
  UniqueFd fd(::open(kDevice, O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!fd.valid()) {
    return ErrnoStatus(
        absl::StrCat("open ", kDevice, " (is there a kernel module `tun`?)"));
  }
  ifreq request = RequestFor(name);
  request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  if (::ioctl(fd.get(), TUNSETIFF, &request) != 0) return CannotCreate(name);
  int header_bytes = sizeof(VirtioHeader);
  if (::ioctl(fd.get(), TUNSETVNETHDRSZ, &header_bytes) != 0) {
    return ErrnoStatus(absl::StrCat("set up the TAP device ", name));
  }
  UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return ErrnoStatus("make a socket for requests");
  TapDevice device(request.ifr_name, std::move(fd), std::move(socket));
  // Until a session says that there is a link.
  RETURN_IF_ERROR(device.SetCarrier(false));
  return device;
}

absl::Status TapDevice::SetMac(const MacAddress& mac) {
  ifreq request = RequestFor(name_);
  request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
  std::copy(mac.begin(), mac.end(), request.ifr_hwaddr.sa_data);
  if (::ioctl(fd_.get(), SIOCSIFHWADDR, &request) == 0) return absl::OkStatus();
  return ErrnoStatus(absl::StrCat("set the MAC address of ", name_));
}

absl::Status TapDevice::SetOffloads(unsigned tun_flags) {
  if (::ioctl(fd_.get(), TUNSETOFFLOAD, tun_flags) == 0) {
    return absl::OkStatus();
  }
  return ErrnoStatus(absl::StrCat("set the offloads of ", name_));
}

absl::Status TapDevice::SetCarrier(bool up) {
  int carrier = up ? 1 : 0;
  if (::ioctl(fd_.get(), TUNSETCARRIER, &carrier) == 0) return absl::OkStatus();
  return ErrnoStatus(absl::StrCat("set the carrier of ", name_));
}

absl::Status TapDevice::SetMtu(uint32_t mtu) {
  ifreq request = RequestFor(name_);
  request.ifr_mtu = static_cast<int>(mtu);
  if (::ioctl(socket_.get(), SIOCSIFMTU, &request) == 0) {
    return absl::OkStatus();
  }
  if (errno == EPERM && mtu_setter_.has_value()) return mtu_setter_->Set(mtu);
  return ErrnoStatus(absl::StrCat("set the MTU of ", name_));
}

absl::Status TapDevice::SetUp() {
  ifreq request = RequestFor(name_);
  if (::ioctl(socket_.get(), SIOCGIFFLAGS, &request) == 0) {
    request.ifr_flags |= IFF_UP;
    if (::ioctl(socket_.get(), SIOCSIFFLAGS, &request) == 0) {
      return absl::OkStatus();
    }
  }
  return ErrnoStatus(absl::StrCat("bring ", name_, " up"));
}

}  // namespace bulkhead::nic_tap
