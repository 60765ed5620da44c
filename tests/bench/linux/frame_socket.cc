#include "tests/bench/linux/frame_socket.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"

namespace bulkhead::bench {
namespace {

constexpr int kBufferBytes = 8 << 20;

absl::Status Set(int fd, int level, int option, int value) {
  return ::setsockopt(fd, level, option, &value, sizeof(value)) == 0
             ? absl::OkStatus()
             : ErrnoStatus("set a packet socket up");
}

}  // namespace

absl::StatusOr<UniqueFd> OpenFrameSocket(const std::string& interface) {
  UniqueFd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return ErrnoStatus("open a packet socket");
  RETURN_IF_ERROR(Set(fd.get(), SOL_PACKET, PACKET_QDISC_BYPASS, 1));
  RETURN_IF_ERROR(Set(fd.get(), SOL_PACKET, PACKET_IGNORE_OUTGOING, 1));
  RETURN_IF_ERROR(Set(fd.get(), SOL_SOCKET, SO_SNDBUFFORCE, kBufferBytes));
  RETURN_IF_ERROR(Set(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, kBufferBytes));
  sockaddr_ll address = {};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(kFrameType);
  address.sll_ifindex = static_cast<int>(::if_nametoindex(interface.c_str()));
  if (address.sll_ifindex == 0 ||
      ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address),
             sizeof(address)) != 0) {
    return ErrnoStatus(absl::StrCat("bind a packet socket to ", interface));
  }
  return fd;
}

}  // namespace bulkhead::bench
