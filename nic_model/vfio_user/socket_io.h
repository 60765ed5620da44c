// Bytes and descriptors over a connected stream socket.
#ifndef BULKHEAD_NIC_MODEL_VFIO_USER_SOCKET_IO_H_
#define BULKHEAD_NIC_MODEL_VFIO_USER_SOCKET_IO_H_

#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/unique_fd.h"

namespace bulkhead::vfio_user {

// Most descriptors that this implementation sends or takes in one message.
constexpr size_t kMaxFds = 16;

// One sendmsg that neither blocks nor raises SIGPIPE. Returns what sendmsg
// returns. At most kMaxFds descriptors; they stay the caller's.
ssize_t SendWithFds(int socket, std::span<const iovec> parts,
                    std::span<const int> fds);

// One recvmsg that does not block. Descriptors that came along are appended to
// *fds, close-on-exec; *truncated is set when more came than kMaxFds (the
// kernel has closed the rest).
ssize_t ReceiveWithFds(int socket, std::span<uint8_t> buffer,
                       std::vector<UniqueFd>* fds, bool* truncated);

}  // namespace bulkhead::vfio_user

#endif  // BULKHEAD_NIC_MODEL_VFIO_USER_SOCKET_IO_H_
