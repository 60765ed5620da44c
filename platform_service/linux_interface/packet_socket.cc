#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

#include <algorithm>
#include <bit>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "platform_service/linux_interface/interface_socket.h"

namespace bulkhead::platform {
namespace {

// 4 MiB of received frames: what a burst at 10 Gb/s brings in 3 ms, in blocks
// that a turn of the driver empties.
constexpr uint32_t kRxBlockBytes = 64 << 10;
constexpr uint32_t kRxBlocks = 64;
constexpr uint32_t kTxFrames = 1024;
constexpr uint32_t kTxBlockBytes = 64 << 10;
// A block that is not full is handed over after so long: the least there is.
constexpr uint32_t kRetireMs = 1;
// Ethernet header and a VLAN tag.
constexpr uint32_t kFrameOverheadBytes = 18;
constexpr int kSendBufferBytes = 8 << 20;

template <typename T>
absl::Status Set(int fd, int level, int option, const T& value,
                 absl::string_view what) {
  if (::setsockopt(fd, level, option, &value, sizeof(value)) == 0) {
    return absl::OkStatus();
  }
  return ErrnoStatus(absl::StrCat("packet socket: ", what));
}

absl::Status MakeRings(PacketSocket* socket, uint32_t mtu) {
  const int fd = socket->fd.get();
  tpacket_req3 rx = {};
  rx.tp_block_size = socket->rx_block_bytes = kRxBlockBytes;
  rx.tp_block_nr = socket->rx_blocks = kRxBlocks;
  rx.tp_frame_size = TPACKET_ALIGNMENT << 7;  // Of no meaning with blocks.
  rx.tp_frame_nr = rx.tp_block_size / rx.tp_frame_size * rx.tp_block_nr;
  rx.tp_retire_blk_tov = kRetireMs;
  RETURN_IF_ERROR(
      Set(fd, SOL_PACKET, PACKET_RX_RING, rx, "make the receive ring"));
  tpacket_req3 tx = {};
  socket->tx_frame_bytes = std::bit_ceil(
      static_cast<uint32_t>(mtu + kFrameOverheadBytes + TPACKET3_HDRLEN));
  socket->tx_frames = kTxFrames;
  tx.tp_frame_size = socket->tx_frame_bytes;
  tx.tp_frame_nr = socket->tx_frames;
  tx.tp_block_size = std::max(kTxBlockBytes, tx.tp_frame_size);
  tx.tp_block_nr = tx.tp_frame_nr / (tx.tp_block_size / tx.tp_frame_size);
  return Set(fd, SOL_PACKET, PACKET_TX_RING, tx, "make the transmit ring");
}

}  // namespace

absl::StatusOr<PacketSocket> OpenPacketSocket(int interface_index,
                                              uint32_t mtu) {
  PacketSocket socket;
  // Protocol 0: it receives nothing before it is bound.
  socket.fd.Reset(
      ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.fd.valid()) return ErrnoStatus("open a packet socket");
  const int fd = socket.fd.get();
  RETURN_IF_ERROR(Set(fd, SOL_PACKET, PACKET_VERSION,
                      static_cast<int>(TPACKET_V3), "choose TPACKET_V3"));
  // A frame that the kernel finds fault with must not stop those behind it.
  RETURN_IF_ERROR(Set(fd, SOL_PACKET, PACKET_LOSS, 1, "skip bad frames"));
  // What Linux itself sends there is nothing that was received.
  RETURN_IF_ERROR(Set(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1,
                      "leave out what others send"));
  RETURN_IF_ERROR(MakeRings(&socket, mtu));
  RETURN_IF_ERROR(Set(fd, SOL_SOCKET, SO_SNDBUFFORCE, kSendBufferBytes,
                      "make room for frames under way"));
  sockaddr_ll address = {};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = interface_index;
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address),
             sizeof(address)) != 0) {
    return ErrnoStatus("bind a packet socket to the interface");
  }
  return socket;
}

absl::StatusOr<UniqueFd> OpenReception(int interface_index,
                                       const Reception& reception) {
  UniqueFd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return ErrnoStatus("open a packet socket");
  const auto add = [&](unsigned short type, const std::string& address) {
    packet_mreq request = {};
    request.mr_ifindex = interface_index;
    request.mr_type = type;
    request.mr_alen = static_cast<unsigned short>(address.size());
    address.copy(reinterpret_cast<char*>(request.mr_address),
                 sizeof(request.mr_address));
    return Set(fd.get(), SOL_PACKET, PACKET_ADD_MEMBERSHIP, request,
               "make the interface let more frames in");
  };
  if (reception.promiscuous) RETURN_IF_ERROR(add(PACKET_MR_PROMISC, ""));
  if (reception.all_multicast) RETURN_IF_ERROR(add(PACKET_MR_ALLMULTI, ""));
  for (const std::string& group : reception.multicast) {
    RETURN_IF_ERROR(add(PACKET_MR_MULTICAST, group));
  }
  return fd;
}

}  // namespace bulkhead::platform
