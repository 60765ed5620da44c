#include <fcntl.h>
#include <linux/if_xdp.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "platform_service/linux_interface/interface_socket.h"

// Of Linux 6.6; Debian 12's headers are older.
#ifndef XDP_USE_SG
#define XDP_USE_SG (1 << 4)
#endif

// Of Linux 6.17.
#ifndef XDP_MAX_TX_SKB_BUDGET
#define XDP_MAX_TX_SKB_BUDGET 9
#endif

namespace bulkhead::platform {
namespace {

constexpr uint32_t kLeastChunk = 2048;  // XDP_UMEM_MIN_CHUNK_SIZE, net/xdp.
constexpr uint32_t kLargestChunk = 4096;
// XDP_PACKET_HEADROOM, linux/bpf.h: the kernel leaves it free before a frame.
constexpr uint32_t kHeadroom = 256;
// A driver's batch (kBatchPieces), which fits into the transmit ring at any
// time.
constexpr uint32_t kBatch = 64;
// Pieces of a frame to send (af_xdp.rst, "Multi-Buffer Support"); the kernel
// drops frames of more without a word. Copied: CONFIG_MAX_SKB_FRAGS, at least
// 17, and the first. Not copied: what NICs can at the least.
constexpr uint32_t kCopiedPieces = 18;
constexpr uint32_t kZeroCopyPieces = 5;
constexpr int kBusyPollUs = 20;
constexpr int kSendBufferBytes = 8 << 20;

template <typename T>
absl::Status Set(int fd, int option, const T& value, absl::string_view what) {
  if (::setsockopt(fd, SOL_XDP, option, &value, sizeof(value)) == 0) {
    return absl::OkStatus();
  }
  return ErrnoStatus(absl::StrCat("XDP socket: ", what));
}

// A stretch of addresses, held while the kernel takes the pages behind it.
class AddressRange {
 public:
  explicit AddressRange(size_t bytes) : bytes_(bytes) {
    base_ =
        ::mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  }
  ~AddressRange() {
    if (valid()) ::munmap(base_, bytes_);
  }
  AddressRange(const AddressRange&) = delete;
  AddressRange& operator=(const AddressRange&) = delete;

  bool valid() const { return base_ != MAP_FAILED; }
  uint8_t* at(size_t offset) const {
    return static_cast<uint8_t*>(base_) + offset;
  }
  size_t bytes() const { return bytes_; }
  bool Put(size_t offset, size_t bytes, int fd, size_t fd_offset) {
    return ::mmap(at(offset), bytes, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_FIXED, fd,
                  static_cast<off_t>(fd_offset)) != MAP_FAILED;
  }

 private:
  void* base_;
  const size_t bytes_;
};

// Side by side, tx data first. The kernel wants to be able to write to all of
// UMEM, although it only reads what is sent.
absl::Status RegisterUmem(int fd, const SessionMemory& memory, uint32_t lane) {
  const size_t tx_bytes = memory.geometry.LaneTxDataBytes();
  const size_t rx_bytes = memory.geometry.LaneRxDataBytes();
  AddressRange range(tx_bytes + rx_bytes);
  if (!range.valid() ||
      !range.Put(0, tx_bytes, memory.tx_data_fd, lane * tx_bytes) ||
      !range.Put(tx_bytes, rx_bytes, memory.rx_data_fd, lane * rx_bytes)) {
    return ErrnoStatus("map a session's frames as UMEM");
  }
  xdp_umem_reg umem = {};
  umem.addr = reinterpret_cast<uintptr_t>(range.at(0));
  umem.len = range.bytes();
  umem.chunk_size = memory.geometry.buffer_bytes;
  return Set(fd, XDP_UMEM_REG, umem,
             absl::StrCat("register ", umem.len >> 10, " KiB as UMEM"));
}

absl::Status MakeRings(XdpSocket* socket,
                       const packet_stream::SessionGeometry& geometry) {
  // A buffer is in one ring at a time: no ring of buffers can be too small.
  socket->fill_entries = geometry.rx_buffers;
  socket->completion_entries = geometry.tx_buffers;
  socket->rx_entries = geometry.rx_buffers;
  socket->tx_entries = 2 * std::max(kBatch, geometry.tx_buffers);
  const int fd = socket->fd.get();
  RETURN_IF_ERROR(
      Set(fd, XDP_UMEM_FILL_RING, socket->fill_entries, "make the fill ring"));
  RETURN_IF_ERROR(Set(fd, XDP_UMEM_COMPLETION_RING, socket->completion_entries,
                      "make the completion ring"));
  RETURN_IF_ERROR(
      Set(fd, XDP_RX_RING, socket->rx_entries, "make the receive ring"));
  RETURN_IF_ERROR(
      Set(fd, XDP_TX_RING, socket->tx_entries, "make the transmit ring"));
  // A batch for one system call, where the kernel copies. One that does not
  // know this takes 32 frames a call, and the driver calls again.
  Set(fd, XDP_MAX_TX_SKB_BUDGET, kBatch, "").IgnoreError();
  return absl::OkStatus();
}

// A call on the socket runs the interface's own receive function first
// (Documentation/networking/napi.rst, busy polling), for a batch of frames.
absl::Status PollWhenCalled(int fd) {
  const auto set = [fd](int option, int value) {
    return ::setsockopt(fd, SOL_SOCKET, option, &value, sizeof(value)) == 0
               ? absl::OkStatus()
               : ErrnoStatus("XDP socket: poll the interface within calls");
  };
  RETURN_IF_ERROR(set(SO_PREFER_BUSY_POLL, 1));
  // How long other calls would wait for a frame; ours do not wait.
  RETURN_IF_ERROR(set(SO_BUSY_POLL, kBusyPollUs));
  return set(SO_BUSY_POLL_BUDGET, kBatch);
}

// 0 or an errno.
int Bind(int fd, int interface_index, uint32_t queue, uint16_t flags) {
  sockaddr_xdp address = {};
  address.sxdp_family = AF_XDP;
  address.sxdp_flags = XDP_USE_NEED_WAKEUP | flags;
  address.sxdp_ifindex = static_cast<uint32_t>(interface_index);
  address.sxdp_queue_id = queue;
  return ::bind(fd, reinterpret_cast<const sockaddr*>(&address),
                sizeof(address)) == 0
             ? 0
             : errno;
}

// The best that the interface's driver can; frames in pieces are of Linux 6.6.
constexpr uint16_t kModes[] = {XDP_ZEROCOPY | XDP_USE_SG, XDP_ZEROCOPY,
                               XDP_COPY | XDP_USE_SG, XDP_COPY};

}  // namespace

absl::Status CheckUmem(const packet_stream::SessionGeometry& geometry) {
  if (geometry.buffer_bytes >= kLeastChunk &&
      geometry.buffer_bytes <= kLargestChunk) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "a session of buffers of ", geometry.buffer_bytes,
      " bytes: AF_XDP works in buffers of ", kLeastChunk, " or ", kLargestChunk,
      " bytes; open it with these, or have the "
      "interface driven by af_packet"));
}

absl::StatusOr<XdpSocket> MakeXdpSocket(const SessionMemory& memory,
                                        uint32_t lane, bool busy_poll) {
  RETURN_IF_ERROR(CheckUmem(memory.geometry));
  XdpSocket socket;
  socket.fd.Reset(::socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0));
  if (!socket.fd.valid()) return ErrnoStatus("open an XDP socket");
  RETURN_IF_ERROR(RegisterUmem(socket.fd.get(), memory, lane));
  RETURN_IF_ERROR(MakeRings(&socket, memory.geometry));
  // How many copies may be on their way out; more than a session has buffers.
  if (::setsockopt(socket.fd.get(), SOL_SOCKET, SO_SNDBUFFORCE,
                   &kSendBufferBytes, sizeof(kSendBufferBytes)) != 0) {
    return ErrnoStatus("XDP socket: make room for frames under way");
  }
  if (busy_poll) RETURN_IF_ERROR(PollWhenCalled(socket.fd.get()));
  socket.busy_poll = busy_poll;
  socket.rx_headroom = kHeadroom;
  return socket;
}

absl::Status BindXdpSocket(int interface_index, uint32_t queue,
                           XdpSocket* socket) {
  int error = EINVAL;
  for (const uint16_t mode : kModes) {
    error = Bind(socket->fd.get(), interface_index, queue, mode);
    if (error == EBUSY) {
      return absl::UnavailableError(
          absl::StrCat("bind an XDP socket: queue ", queue,
                       " of the interface belongs to another socket"));
    }
    if (error != 0) continue;
    socket->zero_copy = (mode & XDP_ZEROCOPY) != 0;
    if ((mode & XDP_USE_SG) != 0) {
      socket->max_pieces = socket->zero_copy ? kZeroCopyPieces : kCopiedPieces;
    }
    return absl::OkStatus();
  }
  return ErrnoStatus("bind an XDP socket", error);
}

}  // namespace bulkhead::platform
