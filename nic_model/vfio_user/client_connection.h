// One request at a time over a connected socket: framing, matching of replies,
// deadlines.
#ifndef BULKHEAD_NIC_MODEL_VFIO_USER_CLIENT_CONNECTION_H_
#define BULKHEAD_NIC_MODEL_VFIO_USER_CLIENT_CONNECTION_H_

#include <poll.h>
#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/clock.h"
#include "base/unique_fd.h"
#include "nic_model/vfio_user/protocol.h"

namespace bulkhead::vfio_user {

// Most bytes of data asked for or sent in one message.
constexpr size_t kMaxTransfer = 4096;

inline iovec Part(const void* data, size_t bytes) {
  return {const_cast<void*>(data), bytes};
}
template <typename T>
iovec Part(const T& object) {
  return Part(&object, sizeof(object));
}

// Errors are those of Client: after any but InvalidArgument every further call
// fails with the same.
class ClientConnection {
 public:
  static constexpr size_t kBufferBytes =
      sizeof(Header) + sizeof(RegionAccess) + kMaxTransfer;

  // A reply's body, valid until the next request.
  using Body = std::span<const uint8_t>;

  // `patience_ms`: what all answers together may take, 0: for ever; see
  // Client::Create.
  ClientConnection(UniqueFd socket, int timeout_ms, int patience_ms)
      : socket_(std::move(socket)),
        timeout_ms_(timeout_ms),
        most_patience_ns_(static_cast<uint64_t>(patience_ms) * 1'000'000u),
        patience_ns_(most_patience_ns_),
        patience_at_ns_(MonotonicNs()),
        // Unlike those of a predecessor on the same socket.
        next_id_(static_cast<uint16_t>(MonotonicNs() >> 10)) {}

  // Tolerates replies to messages of a predecessor from now on.
  void SkipStaleReplies() { adopted_ = true; }

  // Sends the command with `body` (at most three parts) and receives its
  // reply, which must have between `least` and `most` bytes after the header.
  absl::StatusOr<Body> Transact(Command command, std::span<const iovec> body,
                                std::span<const int> fds, size_t least,
                                size_t most);
  // Sends the command once with each of `bodies`, all together, and hands the
  // replies to `take` in their order; the first error ends it. More requests
  // than the server answers without reading on would block both: a few.
  absl::Status TransactAll(Command command, std::span<const iovec> bodies,
                           size_t least, size_t most,
                           const std::function<absl::Status(Body)>& take);
  // A request that gets no reply.
  absl::Status Post(Command command, std::span<const iovec> body);
  // Holds what is posted from now on, and sends it with the next Transact: one
  // system call, and one wake-up of the server, for all of it.
  void Cork() { corked_ = true; }

  // For what a reply's sizes do not show: remembers that the server answered
  // nonsense, or that `why` ended the connection.
  absl::Status Nonsense(absl::string_view what);
  absl::Status Broken(absl::Status why);

  // Descriptors that came with the last reply.
  std::vector<UniqueFd>& fds() { return fds_; }
  int socket() const { return socket_.get(); }

 private:
  absl::Status Send(Command command, uint32_t flags,
                    std::span<const iovec> body, std::span<const int> fds);
  absl::Status SendAll(std::span<iovec> left, std::span<const int> fds);
  // The next whole message: its header, its body in buffer_.
  absl::StatusOr<Header> ReceiveMessage(uint64_t deadline_ns);
  // Of the oldest unanswered request.
  absl::StatusOr<Header> ReceiveReply(Command command);
  absl::StatusOr<Body> TakeReply(Command command, size_t least, size_t most);
  // Appends a whole message to held_.
  void Hold(Command command, uint32_t flags, std::span<const iovec> body);
  absl::Status SendHeld();
  // How long the next answer may take.
  uint64_t NextDeadline(uint64_t now_ns);
  absl::Status SpendPatience(uint64_t since_ns);
  absl::Status CheckReply(const Header& header, Command command);
  bool IsStale(const Header& header) const {
    return (header.flags & kTypeMask) == kTypeReply && header.id != awaited_id_;
  }
  absl::Status FillBuffer(size_t bytes, uint64_t deadline_ns);
  absl::Status WaitFor(short events, uint64_t deadline_ns);
  uint64_t Deadline() const {
    return MonotonicNs() + static_cast<uint64_t>(timeout_ms_) * 1'000'000u;
  }

  UniqueFd socket_;
  const int timeout_ms_;
  const uint64_t most_patience_ns_;  // 0: no end of it.
  uint64_t patience_ns_;
  uint64_t patience_at_ns_;  // When it was that much.
  uint16_t next_id_;         // Of the last message sent.
  uint16_t awaited_id_ = 0;  // Of the request that is answered next.
  bool adopted_ = false;     // Replies to a predecessor may come.
  bool corked_ = false;
  std::vector<uint8_t> held_;  // Whole messages, at most kMaxHeldBytes.
  absl::Status broken_;        // Why the connection is of no more use.
  std::array<uint8_t, kBufferBytes> buffer_;
  size_t filled_ = 0;    // Bytes in buffer_.
  size_t consumed_ = 0;  // Of them, those of the last message.
  std::vector<UniqueFd> fds_;
};

}  // namespace bulkhead::vfio_user

#endif  // BULKHEAD_NIC_MODEL_VFIO_USER_CLIENT_CONNECTION_H_
