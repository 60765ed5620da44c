#include "platform_service/linux_interface/linux_owner.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/errno_status.h"
#include "base/shared_memory.h"
#include "platform_service/linux_interface/network_namespace.h"

namespace bulkhead::platform {
namespace {

// The kernel closes a dead process's sockets one after another, and lets go of
// a queue an RCU grace period later: some 5 to 20 ms for each, more on a
// machine that is short of CPUs.
constexpr uint64_t kLongestWaitNs = 200'000'000;

}  // namespace

absl::Status LinuxOwner::ClearBusMaster() {
  absl::Status status;
  if (!program_.has_value()) return status;
  for (uint32_t queue = 0; queue < queues_; ++queue) {
    status.Update(program_->ClearSocket(queue));
  }
  return status;
}

// The sockets of a session that came after are none of its.
absl::Status LinuxOwner::UnmapAt(uint64_t iova, uint64_t) {
  if (next_.session == iova) next_ = {};
  return session_.value_or(iova) == iova ? ClearBusMaster() : absl::OkStatus();
}

absl::Status LinuxOwner::CheckSession(
    const packet_stream::SessionGeometry& geometry) const {
  return program_.has_value() ? CheckUmem(geometry) : absl::OkStatus();
}

absl::Status LinuxOwner::PrepareSession(const SessionMemory& memory) {
  if (!program_.has_value()) return absl::OkStatus();
  return InNamespace(place_.network_namespace, [&]() -> absl::Status {
    if (next_.session != memory.tx_iova) {
      next_ = {};
      std::vector<XdpSocket> sockets;
      for (uint32_t queue = 0; queue < queues_; ++queue) {
        ASSIGN_OR_RETURN(
            XdpSocket socket,
            MakeXdpSocket(memory, queue % memory.geometry.lanes, busy_poll_));
        sockets.push_back(std::move(socket));
      }
      next_ = {memory.tx_iova, std::move(sockets), 0,
               MonotonicNs() + kLongestWaitNs};
    }
    return BindNext();
  });
}

absl::Status LinuxOwner::BindNext() {
  for (; next_.bound < next_.sockets.size(); ++next_.bound) {
    const absl::Status bound =
        BindXdpSocket(place_.index, next_.bound, &next_.sockets[next_.bound]);
    if (absl::IsUnavailable(bound) && MonotonicNs() < next_.give_up_ns) {
      return bound;
    }
    if (!bound.ok()) {
      next_ = {};
      return absl::IsUnavailable(bound)
                 ? absl::ResourceExhaustedError(bound.message())
                 : bound;
    }
    next_.give_up_ns = MonotonicNs() + kLongestWaitNs;
  }
  return absl::OkStatus();
}

absl::Status LinuxOwner::AddToSession(const SessionMemory& memory,
                                      SessionGrant* grant, FdList* fds) {
  return InNamespace(place_.network_namespace, [&] {
    return program_.has_value() ? AddXdpSockets(memory, grant, fds)
                                : AddPacketSocket(memory, grant, fds);
  });
}

// The kernel has frames in rings of its own, so that the driver must copy: it
// gets the frame memory, too. Data-blindness (S3) is for NICs that reach a
// session's memory themselves.
absl::Status LinuxOwner::AddPacketSocket(const SessionMemory& memory,
                                         SessionGrant* grant, FdList* fds) {
  ASSIGN_OR_RETURN(PacketSocket socket, OpenPacketSocket(place_.index, mtu_));
  ASSIGN_OR_RETURN(UniqueFd tx_data, ReopenReadOnly(memory.tx_data_fd));
  InterfaceSocket* message = grant->add_socket();
  message->set_socket_fd(fds->Own(std::move(socket.fd)));
  auto* packet = message->mutable_packet();
  packet->set_rx_block_bytes(socket.rx_block_bytes);
  packet->set_rx_blocks(socket.rx_blocks);
  packet->set_tx_frame_bytes(socket.tx_frame_bytes);
  packet->set_tx_frames(socket.tx_frames);
  packet->set_tx_data_fd(fds->Own(std::move(tx_data)));
  packet->set_rx_data_fd(fds->Add(memory.rx_data_fd));
  grant->set_tx_iova(0);
  grant->set_rx_iova(0);
  return absl::OkStatus();
}

// The interface spreads its frames over all of its queues, whatever the session
// is like: none may be without a socket.
absl::Status LinuxOwner::AddXdpSockets(const SessionMemory& memory,
                                       SessionGrant* grant, FdList* fds) {
  RETURN_IF_ERROR(PrepareSession(memory));
  Next next = std::exchange(next_, {});
  session_ = memory.tx_iova;
  for (uint32_t queue = 0; queue < queues_; ++queue) {
    XdpSocket& socket = next.sockets[queue];
    RETURN_IF_ERROR(program_->SetSocket(queue, socket.fd.get()));
    zero_copy_ = socket.zero_copy;
    InterfaceSocket* message = grant->add_socket();
    message->set_socket_fd(fds->Own(std::move(socket.fd)));
    auto* xdp = message->mutable_xdp();
    xdp->set_fill_entries(socket.fill_entries);
    xdp->set_completion_entries(socket.completion_entries);
    xdp->set_rx_entries(socket.rx_entries);
    xdp->set_tx_entries(socket.tx_entries);
    xdp->set_rx_headroom(socket.rx_headroom);
    xdp->set_max_pieces(socket.max_pieces);
    xdp->set_busy_poll(socket.busy_poll);
  }
  // Of no device: they tell the buffers of the lanes apart.
  grant->set_tx_iova(0);
  grant->set_rx_iova(memory.geometry.TxDataBytes());
  return absl::OkStatus();
}

std::string LinuxOwner::Mode() const {
  if (!program_.has_value()) return "af_packet, copied by the driver";
  return absl::StrCat("af_xdp, ", program_->native() ? "native" : "generic",
                      !zero_copy_.has_value() ? ""
                      : *zero_copy_           ? ", zero-copy"
                                              : ", copied once by the kernel");
}

void LinuxBus::AddTo(DeviceGrant* grant, FdList*) {
  auto* bus = grant->mutable_interface();
  *bus->mutable_state() = state_;
  bus->set_mac(mac_);
}

}  // namespace bulkhead::platform
