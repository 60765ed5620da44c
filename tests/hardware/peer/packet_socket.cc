#include "tests/hardware/peer/packet_socket.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"

namespace bulkhead::hardware_tests {
namespace {

constexpr int kReceiveBufferBytes = 64 << 20;
// A driver whose ring is full says so at once (NETDEV_TX_BUSY as ENOBUFS);
// asking again a moment later loses nothing.
constexpr int kFullRetries = 20'000;
constexpr int kFullWaitUs = 100;

void SetOption(int socket, int level, int name, int value) {
  // Each of them only makes things faster or roomier.
  (void)::setsockopt(socket, level, name, &value, sizeof(value));
}

}  // namespace

absl::StatusOr<PacketSocket> PacketSocket::Create(const std::string& interface,
                                                  uint16_t ether_type) {
  const uint16_t protocol = htons(ether_type);
  UniqueFd socket(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
  if (!socket.valid()) {
    return ErrnoStatus("open a packet socket (CAP_NET_RAW?)");
  }
  ifreq request{};
  if (interface.empty() || interface.size() >= sizeof(request.ifr_name)) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", interface, "' is no name of an interface"));
  }
  std::copy(interface.begin(), interface.end(), request.ifr_name);
  if (::ioctl(socket.get(), SIOCGIFHWADDR, &request) != 0) {
    return ErrnoStatus(absl::StrCat("find interface ", interface));
  }
  Mac mac;
  std::memcpy(mac.data(), request.ifr_hwaddr.sa_data, mac.size());
  SetOption(socket.get(), SOL_SOCKET, SO_RCVBUFFORCE, kReceiveBufferBytes);
  SetOption(socket.get(), SOL_PACKET, PACKET_QDISC_BYPASS, 1);
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = protocol;
  address.sll_ifindex = static_cast<int>(::if_nametoindex(interface.c_str()));
  if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&address),
             sizeof(address)) != 0) {
    return ErrnoStatus(absl::StrCat("bind to interface ", interface));
  }
  return PacketSocket(std::move(socket), mac);
}

PacketSocket::PacketSocket(UniqueFd socket, Mac mac)
    : socket_(std::move(socket)), mac_(mac), buffers_(kBatch * kFrameBytes) {}

int PacketSocket::Receive(int timeout_ms) {
  pollfd ready{socket_.get(), POLLIN, 0};
  if (::poll(&ready, 1, timeout_ms) <= 0) return 0;
  std::array<mmsghdr, kBatch> messages{};
  std::array<iovec, kBatch> pieces;
  for (size_t i = 0; i < kBatch; ++i) {
    pieces[i] = {&buffers_[i * kFrameBytes], kFrameBytes};
    messages[i].msg_hdr.msg_iov = &pieces[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  const int count =
      ::recvmmsg(socket_.get(), messages.data(), kBatch, MSG_DONTWAIT, nullptr);
  // ENETDOWN is told once, when the interface goes down, and may come up again.
  if (count < 0) return errno == ENODEV || errno == ENXIO ? -1 : 0;
  for (int i = 0; i < count; ++i) sizes_[i] = messages[i].msg_len;
  return count;
}

std::span<uint8_t> PacketSocket::NewFrame(size_t index, size_t bytes) {
  sizes_[index] = bytes;
  return frame(index);
}

bool PacketSocket::Send(size_t count) {
  std::array<mmsghdr, kBatch> messages{};
  std::array<iovec, kBatch> pieces;
  for (size_t i = 0; i < count; ++i) {
    pieces[i] = {&buffers_[i * kFrameBytes], sizes_[i]};
    messages[i].msg_hdr.msg_iov = &pieces[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  size_t sent = 0;
  for (int full = 0; sent < count && full < kFullRetries;) {
    const int taken = ::sendmmsg(socket_.get(), &messages[sent],
                                 static_cast<unsigned>(count - sent), 0);
    if (taken > 0) {
      sent += static_cast<size_t>(taken);
      continue;
    }
    if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR) return false;
    ++full;
    const timespec wait{0, kFullWaitUs * 1000};
    ::nanosleep(&wait, nullptr);
  }
  return sent == count;
}

uint64_t PacketSocket::TakeDropped() {
  tpacket_stats statistics{};
  socklen_t bytes = sizeof(statistics);
  if (::getsockopt(socket_.get(), SOL_PACKET, PACKET_STATISTICS, &statistics,
                   &bytes) != 0) {
    return 0;
  }
  return statistics.tp_drops;
}

}  // namespace bulkhead::hardware_tests
