// The XDP program that hands an interface's frames to a socket, and the map in
// which it finds the socket.
//
// Six instructions, written here, loaded by bpf(2): libxdp would bring a
// dispatcher of its own, built by clang, pinned in a file system, and still
// there after a `kill -9` of everybody. A bpf_link is gone with its last
// descriptor, and the program with it (S10).
#ifndef BULKHEAD_PLATFORM_SERVICE_LINUX_INTERFACE_XDP_PROGRAM_H_
#define BULKHEAD_PLATFORM_SERVICE_LINUX_INTERFACE_XDP_PROGRAM_H_

#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace bulkhead::platform {

class XdpProgram {
 public:
  // Attaches it to the interface of this index in the thread's network
  // namespace: by the interface's driver if that can, else in the kernel's
  // generic path. Without sockets, frames are dropped there: the interface is
  // taken, and its frames are not Linux's.
  static absl::StatusOr<XdpProgram> Attach(int interface_index,
                                           uint32_t queues);
  // From parked descriptors.
  static XdpProgram Adopt(UniqueFd link, UniqueFd sockets, bool native) {
    return XdpProgram(std::move(link), std::move(sockets), native);
  }

  // Frames of this receive queue go to `socket` from now on.
  absl::Status SetSocket(uint32_t queue, int socket);
  // Frames of this queue reach no socket any more once this has returned and
  // the kernel's current batch is over.
  absl::Status ClearSocket(uint32_t queue);

  // The interface's driver runs it, before the kernel has made anything of a
  // frame.
  bool native() const { return native_; }
  int link_fd() const { return link_.get(); }
  int sockets_fd() const { return sockets_.get(); }

 private:
  XdpProgram(UniqueFd link, UniqueFd sockets, bool native)
      : link_(std::move(link)), sockets_(std::move(sockets)), native_(native) {}

  UniqueFd link_;
  UniqueFd sockets_;  // The map: receive queue to socket.
  bool native_ = false;
};

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_LINUX_INTERFACE_XDP_PROGRAM_H_
