// Opens the sockets through which a driver moves an interface's frames. All
// that takes a privilege is done here; what the driver gets is a descriptor
// with rings to map.
//
// Requires: the calling thread is in the interface's network namespace, as
//   root.
#ifndef BULKHEAD_PLATFORM_SERVICE_LINUX_INTERFACE_INTERFACE_SOCKET_H_
#define BULKHEAD_PLATFORM_SERVICE_LINUX_INTERFACE_INTERFACE_SOCKET_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "packet_stream/geometry.h"
#include "platform_service/devices/device_owner.h"

namespace bulkhead::platform {

// A packet socket (packet(7)) with TPACKET_V3 rings, bound to the interface. In
// its mapping the transmit ring follows the receive ring.
struct PacketSocket {
  UniqueFd fd;
  uint32_t rx_block_bytes = 0;
  uint32_t rx_blocks = 0;
  uint32_t tx_frame_bytes = 0;
  uint32_t tx_frames = 0;
};
absl::StatusOr<PacketSocket> OpenPacketSocket(int interface_index,
                                              uint32_t mtu);

// Which frames an interface lets in besides those to its own address.
struct Reception {
  bool promiscuous = false;
  bool all_multicast = false;
  std::vector<std::string> multicast;  // Addresses of 6 bytes.

  bool operator==(const Reception&) const = default;
};
// The interface lets them in for as long as this is open; it carries no frames.
absl::StatusOr<UniqueFd> OpenReception(int interface_index,
                                       const Reception& reception);

// An XDP socket (AF_XDP) on one queue of the interface. Its UMEM is the frame
// memory of one of the session's lanes itself: tx data from 0, rx data behind
// it. The kernel keeps the pages; no mapping of them is left in this process.
//
// Each socket has a UMEM of its own (XDP_SHARED_UMEM is not used): the kernel
// then sees to it that a queue reaches no other lane's buffers, keeps for each
// queue books of the buffers that it can have and not of all, and finds out for
// each what its queue can do. Lanes never exchange buffers, which is what a
// shared one would be for.
struct XdpSocket {
  UniqueFd fd;
  uint32_t fill_entries = 0;  // Of the four rings.
  uint32_t completion_entries = 0;
  uint32_t rx_entries = 0;
  uint32_t tx_entries = 0;
  uint32_t rx_headroom = 0;  // Of a received frame in its buffer.
  uint32_t max_pieces = 1;   // Of a frame to send.
  bool zero_copy = false;
  bool busy_poll = false;  // As asked for.
};
// Makes one that is not bound yet. InvalidArgument: the session's buffers
// cannot be UMEM. `busy_poll`: the interface's queue is polled within the calls
// on the socket, as well as by its interrupts.
absl::StatusOr<XdpSocket> MakeXdpSocket(const SessionMemory& memory,
                                        uint32_t lane, bool busy_poll);
// Does not wait. Unavailable: the queue is another socket's; it stays that of a
// predecessor for some time after that was closed, see linux_owner.h.
absl::Status BindXdpSocket(int interface_index, uint32_t queue,
                           XdpSocket* socket);
// Whether a session's buffers can be UMEM.
absl::Status CheckUmem(const packet_stream::SessionGeometry& geometry);

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_LINUX_INTERFACE_INTERFACE_SOCKET_H_
