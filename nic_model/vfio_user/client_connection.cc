#include "nic_model/vfio_user/client_connection.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "nic_model/vfio_user/socket_io.h"

namespace bulkhead::vfio_user {
namespace {

// Answers to a predecessor's requests that a new client skips on a socket that
// it took over.
constexpr int kMaxStaleReplies = 64;
// Of posted requests that wait for company.
constexpr size_t kMaxHeldBytes = 4096;

// Patience grows back by this part of the time that passes.
constexpr uint64_t kPatienceGrowth = 10;

absl::string_view CommandName(Command command) {
  switch (command) {
    case Command::kVersion:
      return "VERSION";
    case Command::kDmaMap:
      return "DMA_MAP";
    case Command::kDmaUnmap:
      return "DMA_UNMAP";
    case Command::kGetInfo:
      return "DEVICE_GET_INFO";
    case Command::kGetRegionInfo:
      return "DEVICE_GET_REGION_INFO";
    case Command::kGetRegionIoFds:
      return "DEVICE_GET_REGION_IO_FDS";
    case Command::kGetIrqInfo:
      return "DEVICE_GET_IRQ_INFO";
    case Command::kSetIrqs:
      return "DEVICE_SET_IRQS";
    case Command::kRegionRead:
      return "REGION_READ";
    case Command::kRegionWrite:
      return "REGION_WRITE";
    case Command::kDeviceReset:
      return "DEVICE_RESET";
    case Command::kRegionWriteMulti:
      return "REGION_WRITE_MULTI";
  }
  return "command";
}

}  // namespace

absl::Status ClientConnection::Broken(absl::Status why) {
  if (broken_.ok()) broken_ = why;
  return why;
}

absl::Status ClientConnection::Nonsense(absl::string_view what) {
  return Broken(absl::DataLossError(
      absl::StrCat("vfio-user server answered nonsense: ", what)));
}

absl::Status ClientConnection::WaitFor(short events, uint64_t deadline_ns) {
  for (;;) {
    const uint64_t now_ns = MonotonicNs();
    const int wait_ms =
        now_ns >= deadline_ns
            ? 0
            : static_cast<int>((deadline_ns - now_ns + 999'999) / 1'000'000);
    pollfd waiter = {socket_.get(), events, 0};
    const int ready = ::poll(&waiter, 1, wait_ms);
    if (ready > 0) return absl::OkStatus();
    if (ready < 0 && errno != EINTR) {
      return Broken(ErrnoStatus("wait for the vfio-user server"));
    }
    if (ready == 0 && MonotonicNs() >= deadline_ns) {
      return Broken(absl::DeadlineExceededError(
          absl::StrCat("vfio-user server did not answer within ", timeout_ms_,
                       " ms: it hangs or was stopped")));
    }
  }
}

absl::Status ClientConnection::Post(Command command,
                                    std::span<const iovec> body) {
  constexpr uint32_t kFlags = kTypeCommand | kFlagNoReply;
  if (!corked_ || !broken_.ok()) return Send(command, kFlags, body, {});
  Hold(command, kFlags, body);
  return held_.size() < kMaxHeldBytes ? absl::OkStatus() : SendHeld();
}

void ClientConnection::Hold(Command command, uint32_t flags,
                            std::span<const iovec> body) {
  Header header = {++next_id_, static_cast<uint16_t>(command), sizeof(Header),
                   flags, 0};
  for (const iovec& part : body) header.bytes += part.iov_len;
  const auto append = [this](const void* data, size_t bytes) {
    const auto* first = static_cast<const uint8_t*>(data);
    held_.insert(held_.end(), first, first + bytes);
  };
  append(&header, sizeof(header));
  for (const iovec& part : body) append(part.iov_base, part.iov_len);
}

absl::Status ClientConnection::SendHeld() {
  iovec all = Part(held_.data(), held_.size());
  const absl::Status status = SendAll(std::span(&all, 1), {});
  held_.clear();
  return status;
}

absl::Status ClientConnection::Send(Command command, uint32_t flags,
                                    std::span<const iovec> body,
                                    std::span<const int> fds) {
  if (!broken_.ok()) return broken_;
  Header header = {++next_id_, static_cast<uint16_t>(command), sizeof(Header),
                   flags, 0};
  std::array<iovec, 5> parts;
  size_t count = 0;
  if (!held_.empty()) parts[count++] = Part(held_.data(), held_.size());
  const size_t header_at = count++;
  for (const iovec& part : body) {
    header.bytes += part.iov_len;
    parts[count++] = part;
  }
  parts[header_at] = Part(header);
  awaited_id_ = next_id_;
  const absl::Status status = SendAll(std::span(parts.data(), count), fds);
  held_.clear();
  corked_ = false;
  return status;
}

absl::Status ClientConnection::SendAll(std::span<iovec> left,
                                       std::span<const int> fds) {
  uint64_t deadline_ns = 0;
  while (!left.empty()) {
    const ssize_t sent = SendWithFds(socket_.get(), left, fds);
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      // The server is behind with its reading: the deadline starts here, so
      // that the common case costs no clock.
      if (deadline_ns == 0) deadline_ns = Deadline();
      RETURN_IF_ERROR(WaitFor(POLLOUT, deadline_ns));
      continue;
    }
    if (sent < 0) {
      const int error = errno;
      return Broken(
          error == EPIPE || error == ECONNRESET
              ? absl::UnavailableError("vfio-user server closed the connection")
              : ErrnoStatus("send to the vfio-user server", error));
    }
    fds = {};
    size_t done = static_cast<size_t>(sent);
    while (!left.empty() && done >= left[0].iov_len) {
      done -= left[0].iov_len;
      left = left.subspan(1);
    }
    if (!left.empty()) {
      left[0] = Part(static_cast<uint8_t*>(left[0].iov_base) + done,
                     left[0].iov_len - done);
    }
  }
  return absl::OkStatus();
}

absl::Status ClientConnection::FillBuffer(size_t bytes, uint64_t deadline_ns) {
  while (filled_ < bytes) {
    RETURN_IF_ERROR(WaitFor(POLLIN, deadline_ns));
    bool truncated = false;
    const ssize_t got = ReceiveWithFds(
        socket_.get(), std::span(buffer_).subspan(filled_), &fds_, &truncated);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) continue;
    if (got == 0 || (got < 0 && errno == ECONNRESET)) {
      return Broken(
          absl::UnavailableError("vfio-user server closed the connection"));
    }
    if (got < 0) {
      return Broken(ErrnoStatus("receive from the vfio-user server"));
    }
    if (truncated) return Nonsense("too many descriptors in one message");
    filled_ += static_cast<size_t>(got);
  }
  return absl::OkStatus();
}

absl::StatusOr<Header> ClientConnection::ReceiveMessage(uint64_t deadline_ns) {
  std::memmove(buffer_.data(), buffer_.data() + consumed_, filled_ - consumed_);
  filled_ -= consumed_;
  consumed_ = 0;
  fds_.clear();
  RETURN_IF_ERROR(FillBuffer(sizeof(Header), deadline_ns));
  Header header;
  std::memcpy(&header, buffer_.data(), sizeof(header));
  if (header.bytes < sizeof(Header) || header.bytes > buffer_.size()) {
    return Nonsense(
        absl::StrCat("a message said to be of ", header.bytes, " bytes"));
  }
  RETURN_IF_ERROR(FillBuffer(header.bytes, deadline_ns));
  consumed_ = header.bytes;
  return header;
}

absl::Status ClientConnection::CheckReply(const Header& header,
                                          Command command) {
  if ((header.flags & kTypeMask) != kTypeReply) {
    return Nonsense(
        absl::StrCat("command ", header.command, " of its own, not a reply"));
  }
  if (header.id != awaited_id_ ||
      header.command != static_cast<uint16_t>(command)) {
    return Nonsense(absl::StrCat("reply to message ", header.id, " command ",
                                 header.command, ", expected message ",
                                 awaited_id_, " ", CommandName(command)));
  }
  if ((header.flags & kFlagError) != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("vfio-user server refused ", CommandName(command), ": ",
                     header.error == 0 || header.error > 4095
                         ? "no cause given"
                         : std::strerror(static_cast<int>(header.error))));
  }
  return absl::OkStatus();
}

uint64_t ClientConnection::NextDeadline(uint64_t now_ns) {
  const uint64_t timeout_ns = static_cast<uint64_t>(timeout_ms_) * 1'000'000u;
  if (most_patience_ns_ == 0) return now_ns + timeout_ns;
  patience_ns_ =
      std::min(most_patience_ns_,
               patience_ns_ + (now_ns - patience_at_ns_) / kPatienceGrowth);
  patience_at_ns_ = now_ns;
  return now_ns + std::min(timeout_ns, patience_ns_);
}

absl::Status ClientConnection::SpendPatience(uint64_t since_ns) {
  if (most_patience_ns_ == 0) return absl::OkStatus();
  const uint64_t now_ns = MonotonicNs();
  const uint64_t spent_ns = now_ns - since_ns;
  if (spent_ns >= patience_ns_) {
    return Broken(absl::DeadlineExceededError(absl::StrCat(
        "vfio-user server takes its time with every answer: more than ",
        most_patience_ns_ / 1'000'000u, " ms in all")));
  }
  patience_ns_ -= spent_ns;
  patience_at_ns_ = now_ns;
  return absl::OkStatus();
}

absl::StatusOr<Header> ClientConnection::ReceiveReply(Command command) {
  const uint64_t start_ns = MonotonicNs();
  const uint64_t deadline_ns = NextDeadline(start_ns);
  ASSIGN_OR_RETURN(Header header, ReceiveMessage(deadline_ns));
  for (int i = 0; adopted_ && IsStale(header) && i < kMaxStaleReplies; ++i) {
    ASSIGN_OR_RETURN(header, ReceiveMessage(deadline_ns));
  }
  RETURN_IF_ERROR(SpendPatience(start_ns));
  RETURN_IF_ERROR(CheckReply(header, command));
  // Whatever follows the reply to the last request was not asked for.
  if (awaited_id_ == next_id_ && filled_ != consumed_) {
    return Nonsense("bytes after its reply");
  }
  return header;
}

absl::StatusOr<ClientConnection::Body> ClientConnection::Transact(
    Command command, std::span<const iovec> body, std::span<const int> fds,
    size_t least, size_t most) {
  RETURN_IF_ERROR(Send(command, kTypeCommand, body, fds));
  return TakeReply(command, least, most);
}

absl::Status ClientConnection::TransactAll(
    Command command, std::span<const iovec> bodies, size_t least, size_t most,
    const std::function<absl::Status(Body)>& take) {
  if (!broken_.ok()) return broken_;
  const auto first_id = static_cast<uint16_t>(next_id_ + 1);
  for (const iovec& body : bodies) {
    Hold(command, kTypeCommand, std::span(&body, 1));
  }
  corked_ = false;
  RETURN_IF_ERROR(SendHeld());
  absl::Status first_error;
  for (size_t i = 0; i < bodies.size(); ++i) {
    awaited_id_ = static_cast<uint16_t>(first_id + i);
    const absl::StatusOr<Body> reply = TakeReply(command, least, most);
    if (!broken_.ok()) return broken_;
    // A refusal: the other answers come nevertheless.
    if (first_error.ok()) {
      first_error = reply.ok() ? take(*reply) : reply.status();
    }
  }
  return first_error;
}

absl::StatusOr<ClientConnection::Body> ClientConnection::TakeReply(
    Command command, size_t least, size_t most) {
  ASSIGN_OR_RETURN(const Header header, ReceiveReply(command));
  const size_t bytes = header.bytes - sizeof(Header);
  if (bytes < least || bytes > most) {
    return Nonsense(
        absl::StrCat(CommandName(command), " answered with ", bytes, " bytes"));
  }
  return Body(buffer_.data() + sizeof(Header), bytes);
}

}  // namespace bulkhead::vfio_user
