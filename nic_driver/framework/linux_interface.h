// A Linux interface as its driver sees it: facts that the platform service
// tells, and sockets that come with each session.
//
// The driver is in no network namespace of the host and has no privilege:
// sockets were opened and bound for it, and their rings are what it works with.
#ifndef BULKHEAD_NIC_DRIVER_FRAMEWORK_LINUX_INTERFACE_H_
#define BULKHEAD_NIC_DRIVER_FRAMEWORK_LINUX_INTERFACE_H_

#include <cstdint>
#include <utility>
#include <variant>
#include <vector>

#include "base/unique_fd.h"
#include "nic_driver/framework/driver.h"
#include "packet_stream/geometry.h"

namespace bulkhead::nic_driver {

// Of a packet socket, see platform_service/api/driver.proto.
struct PacketRings {
  uint32_t rx_block_bytes = 0;
  uint32_t rx_blocks = 0;
  uint32_t tx_frame_bytes = 0;
  uint32_t tx_frames = 0;
  UniqueFd tx_data;  // Frame memory, read-only.
  UniqueFd rx_data;  // The same, writable.
};

// Of an XDP socket. In its UMEM lie a lane's tx data from 0, its rx data behind
// that.
struct XdpRings {
  uint32_t fill_entries = 0;
  uint32_t completion_entries = 0;
  uint32_t rx_entries = 0;
  uint32_t tx_entries = 0;
  uint32_t rx_headroom = 0;
  uint32_t max_pieces = 1;  // Of a frame to send.
  bool busy_poll = false;
};

struct SessionSocket {
  UniqueFd socket;
  std::variant<PacketRings, XdpRings> rings;
  packet_stream::SessionGeometry geometry;
  uint64_t tx_iova = 0;  // Of the session's first tx buffer.
};

// Threading: one thread.
class LinuxInterface {
 public:
  struct State {
    uint32_t mtu = 0;
    LinkStatus link;
    uint32_t queues = 1;  // That receive and send.
  };

  LinuxInterface(MacAddress mac, const State& state)
      : mac_(mac), state_(state) {}

  const MacAddress& mac() const { return mac_; }
  const State& state() const { return state_; }
  void set_state(const State& state) { state_ = state; }

  // The sockets of the session that the next Start is for: XDP sockets in the
  // order of the interface's queues, or one packet socket.
  void Offer(std::vector<SessionSocket> sockets) {
    offered_ = std::move(sockets);
  }
  // The driver's from now on. None: Start is for no session.
  std::vector<SessionSocket> TakeSockets() {
    return std::exchange(offered_, {});
  }

 private:
  const MacAddress mac_;
  State state_;
  std::vector<SessionSocket> offered_;
};

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_FRAMEWORK_LINUX_INTERFACE_H_
