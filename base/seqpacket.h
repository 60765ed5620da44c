// The one kind of channel that descriptors travel on: AF_UNIX SOCK_SEQPACKET,
// one protobuf message per packet, descriptors as SCM_RIGHTS.
#ifndef BULKHEAD_BASE_SEQPACKET_H_
#define BULKHEAD_BASE_SEQPACKET_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "google/protobuf/message_lite.h"

namespace bulkhead {

// Guarantees:
//   - A message arrives whole, with exactly the descriptors it was sent with,
//     or the receiver gets an error and every descriptor of it is closed.
//   - Received descriptors are close-on-exec.
//   - Send never blocks.
// Threading: one thread at a time.
class SeqpacketChannel {
 public:
  // Largest message in bytes, and most descriptors with one message.
  static constexpr size_t kMaxMessageBytes = 128 * 1024;
  static constexpr size_t kMaxFds = 64;

  SeqpacketChannel() = default;
  explicit SeqpacketChannel(UniqueFd fd) : fd_(std::move(fd)) {}

  static absl::StatusOr<std::pair<SeqpacketChannel, SeqpacketChannel>>
  CreatePair();
  // Connects to a listening socket in the file system.
  static absl::StatusOr<SeqpacketChannel> Connect(const std::string& path);

  // Unavailable: the peer closed. ResourceExhausted: the peer does not read,
  // its queue is full; nothing was sent. InvalidArgument: too large.
  // `fds` stay the caller's.
  absl::Status Send(const google::protobuf::MessageLite& message,
                    std::span<const int> fds = {});

  // Takes one message if one waits. true: *message and *fds are filled;
  // false: nothing waits. Unavailable: the peer closed. InvalidArgument: not a
  // message of this type, too large, or more descriptors than `max_fds`.
  absl::StatusOr<bool> Receive(google::protobuf::MessageLite* message,
                               std::vector<UniqueFd>* fds,
                               size_t max_fds = kMaxFds);

  // Like Receive, but waits up to `timeout_ms` (-1: for ever).
  // DeadlineExceeded when nothing came.
  absl::Status WaitReceive(google::protobuf::MessageLite* message,
                           std::vector<UniqueFd>* fds, int timeout_ms,
                           size_t max_fds = kMaxFds);

  int fd() const { return fd_.get(); }
  bool valid() const { return fd_.valid(); }
  void Close() { fd_.Reset(); }
  UniqueFd ReleaseFd() { return std::move(fd_); }

 private:
  UniqueFd fd_;
};

// Binds and listens on `path` with `mode`; an existing socket file there is
// replaced only if nobody listens on it any more.
absl::StatusOr<UniqueFd> ListenSeqpacket(const std::string& path,
                                         uint32_t mode = 0600);

// Who is at the other end, from SO_PEERCRED at the time of the connect.
struct PeerCredentials {
  int pid = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
};
absl::StatusOr<PeerCredentials> GetPeerCredentials(int socket_fd);

}  // namespace bulkhead

#endif  // BULKHEAD_BASE_SEQPACKET_H_
