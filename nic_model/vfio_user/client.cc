#include "nic_model/vfio_user/client.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/errno_status.h"
#include "nic_model/vfio_user/capabilities.h"
#include "nic_model/vfio_user/protocol.h"
#include "nic_model/vfio_user/socket_io.h"

namespace bulkhead::vfio_user {
namespace {

// Most bytes of data asked for or sent in one message.
constexpr size_t kMaxTransfer = 4096;
constexpr size_t kBufferBytes =
    sizeof(Header) + sizeof(RegionAccess) + kMaxTransfer;
// Doorbells accepted of one region.
constexpr uint32_t kMaxDoorbells = kMaxFds / 2;
// Answers to a predecessor's requests that a new client skips on a socket that
// it took over.
constexpr int kMaxStaleReplies = 64;

constexpr char kCapabilities[] =
    "{\"capabilities\":{\"max_msg_fds\":16,\"max_data_xfer_size\":4096}}";

iovec Part(const void* data, size_t bytes) {
  return {const_cast<void*>(data), bytes};
}
template <typename T>
iovec Part(const T& object) {
  return Part(&object, sizeof(object));
}

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

class SocketClient : public Client {
 public:
  SocketClient(UniqueFd socket, int timeout_ms)
      : socket_(std::move(socket)),
        timeout_ms_(timeout_ms),
        // Unlike those of a predecessor on the same socket.
        next_id_(static_cast<uint16_t>(MonotonicNs() >> 10)) {}

  absl::Status Negotiate();
  // Tolerates replies to messages of a predecessor from now on.
  void SkipStaleReplies() { adopted_ = true; }

  absl::StatusOr<RegionInfo> GetRegionInfo(uint32_t region) override;
  absl::StatusOr<std::vector<Doorbell>> GetDoorbells(uint32_t region) override;
  absl::StatusOr<uint32_t> GetIrqCount(uint32_t index) override;
  absl::Status Read(uint32_t region, uint64_t offset,
                    std::span<uint8_t> data) override;
  absl::Status Write(uint32_t region, uint64_t offset,
                     std::span<const uint8_t> data) override;
  absl::Status PostWrite(uint32_t region, uint64_t offset,
                         std::span<const uint8_t> data) override;
  absl::Status SetIrqs(uint32_t index, std::span<const int> events) override;
  absl::Status MapDma(uint64_t iova, uint64_t bytes, int memory_fd,
                      uint64_t fd_offset, bool device_may_write) override;
  absl::Status UnmapDma(uint64_t iova, uint64_t bytes) override;
  absl::Status Reset() override;
  int fd() const override { return socket_.get(); }

 private:
  // A reply's body, in buffer_, valid until the next message is received.
  using Body = std::span<const uint8_t>;

  // Sends the command with `body` (at most three parts) and receives its
  // reply, which must have between `least` and `most` bytes after the header.
  absl::StatusOr<Body> Transact(Command command, std::span<const iovec> body,
                                std::span<const int> fds, size_t least,
                                size_t most);
  absl::Status Send(Command command, uint32_t flags,
                    std::span<const iovec> body, std::span<const int> fds);
  // The next whole message: its header, its body in buffer_.
  absl::StatusOr<Header> ReceiveMessage(uint64_t deadline_ns);
  absl::StatusOr<Header> ReceiveReply(Command command);
  absl::Status CheckReply(const Header& header, Command command);
  bool IsStale(const Header& header) const {
    return (header.flags & kTypeMask) == kTypeReply && header.id != next_id_;
  }
  absl::Status FillBuffer(size_t bytes, uint64_t deadline_ns);
  absl::Status WaitFor(short events, uint64_t deadline_ns);
  absl::Status WriteChunk(uint32_t region, uint64_t offset,
                          std::span<const uint8_t> data);
  absl::StatusOr<std::vector<Doorbell>> TakeDoorbells(Body body,
                                                      uint32_t region);

  absl::Status Broken(absl::Status why) {
    if (broken_.ok()) broken_ = why;
    return why;
  }
  absl::Status Nonsense(absl::string_view what) {
    return Broken(absl::DataLossError(
        absl::StrCat("vfio-user server answered nonsense: ", what)));
  }
  uint64_t Deadline() const {
    return MonotonicNs() + static_cast<uint64_t>(timeout_ms_) * 1'000'000u;
  }

  UniqueFd socket_;
  int timeout_ms_;
  uint16_t next_id_;
  size_t max_fds_ = kDefaultMaxFds;  // The server takes in one message.
  bool adopted_ = false;             // Replies to a predecessor may come.
  absl::Status broken_;              // Why the connection is of no more use.
  std::array<uint8_t, kBufferBytes> buffer_;
  size_t filled_ = 0;          // Bytes in buffer_.
  size_t consumed_ = 0;        // Of them, those of the last message.
  std::vector<UniqueFd> fds_;  // Came with the last message.
};

absl::Status SocketClient::WaitFor(short events, uint64_t deadline_ns) {
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

absl::Status SocketClient::Send(Command command, uint32_t flags,
                                std::span<const iovec> body,
                                std::span<const int> fds) {
  if (!broken_.ok()) return broken_;
  Header header = {++next_id_, static_cast<uint16_t>(command), sizeof(Header),
                   flags, 0};
  std::array<iovec, 4> parts;
  size_t count = 1;
  for (const iovec& part : body) {
    header.bytes += part.iov_len;
    parts[count++] = part;
  }
  parts[0] = Part(header);
  std::span<iovec> left(parts.data(), count);
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

absl::Status SocketClient::FillBuffer(size_t bytes, uint64_t deadline_ns) {
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

absl::StatusOr<Header> SocketClient::ReceiveMessage(uint64_t deadline_ns) {
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

absl::Status SocketClient::CheckReply(const Header& header, Command command) {
  if ((header.flags & kTypeMask) != kTypeReply) {
    return Nonsense(
        absl::StrCat("command ", header.command, " of its own, not a reply"));
  }
  if (header.id != next_id_ ||
      header.command != static_cast<uint16_t>(command)) {
    return Nonsense(absl::StrCat("reply to message ", header.id, " command ",
                                 header.command, ", expected message ",
                                 next_id_, " ", CommandName(command)));
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

absl::StatusOr<Header> SocketClient::ReceiveReply(Command command) {
  const uint64_t deadline_ns = Deadline();
  ASSIGN_OR_RETURN(Header header, ReceiveMessage(deadline_ns));
  for (int i = 0; adopted_ && IsStale(header) && i < kMaxStaleReplies; ++i) {
    ASSIGN_OR_RETURN(header, ReceiveMessage(deadline_ns));
  }
  RETURN_IF_ERROR(CheckReply(header, command));
  if (filled_ != consumed_) return Nonsense("bytes after its reply");
  return header;
}

absl::StatusOr<SocketClient::Body> SocketClient::Transact(
    Command command, std::span<const iovec> body, std::span<const int> fds,
    size_t least, size_t most) {
  RETURN_IF_ERROR(Send(command, kTypeCommand, body, fds));
  ASSIGN_OR_RETURN(const Header header, ReceiveReply(command));
  const size_t bytes = header.bytes - sizeof(Header);
  if (bytes < least || bytes > most) {
    return Nonsense(
        absl::StrCat(CommandName(command), " answered with ", bytes, " bytes"));
  }
  return Body(buffer_.data() + sizeof(Header), bytes);
}

absl::Status SocketClient::Negotiate() {
  const Version version = {kMajorVersion, kMinorVersion};
  const iovec body[] = {Part(version),
                        Part(kCapabilities, sizeof(kCapabilities))};
  Version answer;
  ASSIGN_OR_RETURN(const Body reply, Transact(Command::kVersion, body, {},
                                              sizeof(answer), kBufferBytes));
  std::memcpy(&answer, reply.data(), sizeof(answer));
  if (answer.major != kMajorVersion) {
    return Broken(absl::FailedPreconditionError(
        absl::StrCat("vfio-user server speaks major version ", answer.major,
                     ", this client speaks ", kMajorVersion)));
  }
  const absl::string_view json(
      reinterpret_cast<const char*>(reply.data()) + sizeof(answer),
      reply.size() - sizeof(answer));
  max_fds_ = std::clamp<uint64_t>(
      FindNumber(json, "max_msg_fds").value_or(kDefaultMaxFds), 1, kMaxFds);
  return absl::OkStatus();
}

absl::StatusOr<RegionInfo> SocketClient::GetRegionInfo(uint32_t region) {
  RegionInfoBody info = {};
  info.argsz = sizeof(info);
  info.index = region;
  const iovec body[] = {Part(info)};
  ASSIGN_OR_RETURN(const Body reply, Transact(Command::kGetRegionInfo, body, {},
                                              sizeof(info), kBufferBytes));
  std::memcpy(&info, reply.data(), sizeof(info));
  if (info.index != region) return Nonsense("the info of another region");
  return RegionInfo{info.bytes, (info.flags & kRegionReadable) != 0,
                    (info.flags & kRegionWritable) != 0};
}

absl::StatusOr<std::vector<Doorbell>> SocketClient::GetDoorbells(
    uint32_t region) {
  const RegionIoFds request = {
      sizeof(RegionIoFds) + kMaxDoorbells * sizeof(IoEventFd), 0, region, 0};
  const iovec body[] = {Part(request)};
  ASSIGN_OR_RETURN(const Body reply,
                   Transact(Command::kGetRegionIoFds, body, {},
                            sizeof(RegionIoFds), request.argsz));
  return TakeDoorbells(reply, region);
}

absl::StatusOr<std::vector<Doorbell>> SocketClient::TakeDoorbells(
    Body body, uint32_t region) {
  RegionIoFds info;
  std::memcpy(&info, body.data(), sizeof(info));
  const size_t entries = (body.size() - sizeof(info)) / sizeof(IoEventFd);
  if (info.index != region || info.count > kMaxDoorbells ||
      info.count != entries ||
      body.size() != sizeof(info) + entries * sizeof(IoEventFd)) {
    return Nonsense("a list of doorbells that does not add up");
  }
  std::vector<Doorbell> doorbells;
  for (size_t i = 0; i < entries; ++i) {
    IoEventFd entry;
    std::memcpy(&entry, body.data() + sizeof(info) + i * sizeof(entry),
                sizeof(entry));
    // One without its value in shared memory is of no use as a register.
    if (entry.type != kIoEventFdShadow) continue;
    if (entry.fd_index >= fds_.size() || entry.shadow_fd_index >= fds_.size() ||
        entry.shadow_offset > UINT32_MAX || entry.bytes > 8) {
      return Nonsense("a doorbell without its descriptors");
    }
    // Several doorbells may share a descriptor.
    Doorbell doorbell = {entry.offset, static_cast<uint32_t>(entry.bytes),
                         fds_[entry.fd_index].Duplicate(),
                         fds_[entry.shadow_fd_index].Duplicate(),
                         static_cast<uint32_t>(entry.shadow_offset)};
    if (!doorbell.event.valid() || !doorbell.shadow.valid()) {
      return Broken(ErrnoStatus("duplicate a doorbell's descriptor"));
    }
    doorbells.push_back(std::move(doorbell));
  }
  fds_.clear();
  return doorbells;
}

absl::StatusOr<uint32_t> SocketClient::GetIrqCount(uint32_t index) {
  IrqInfo info = {sizeof(IrqInfo), 0, index, 0};
  const iovec body[] = {Part(info)};
  ASSIGN_OR_RETURN(const Body reply, Transact(Command::kGetIrqInfo, body, {},
                                              sizeof(info), sizeof(info)));
  std::memcpy(&info, reply.data(), sizeof(info));
  if (info.index != index) return Nonsense("the info of another interrupt");
  return info.count;
}

absl::Status SocketClient::Read(uint32_t region, uint64_t offset,
                                std::span<uint8_t> data) {
  while (!data.empty()) {
    const size_t bytes = std::min(data.size(), kMaxTransfer);
    const RegionAccess access = {offset, region, static_cast<uint32_t>(bytes)};
    const iovec body[] = {Part(access)};
    const size_t expected = sizeof(access) + bytes;
    ASSIGN_OR_RETURN(const Body reply, Transact(Command::kRegionRead, body, {},
                                                expected, expected));
    std::memcpy(data.data(), reply.data() + sizeof(access), bytes);
    data = data.subspan(bytes);
    offset += bytes;
  }
  return absl::OkStatus();
}

absl::Status SocketClient::Write(uint32_t region, uint64_t offset,
                                 std::span<const uint8_t> data) {
  while (!data.empty()) {
    const auto chunk = data.first(std::min(data.size(), kMaxTransfer));
    const RegionAccess access = {offset, region,
                                 static_cast<uint32_t>(chunk.size())};
    const iovec body[] = {Part(access), Part(chunk.data(), chunk.size())};
    // Some servers leave the body out of their reply.
    RETURN_IF_ERROR(
        Transact(Command::kRegionWrite, body, {}, 0, sizeof(access)).status());
    data = data.subspan(chunk.size());
    offset += chunk.size();
  }
  return absl::OkStatus();
}

absl::Status SocketClient::PostWrite(uint32_t region, uint64_t offset,
                                     std::span<const uint8_t> data) {
  if (data.size() > kMaxTransfer) {
    return absl::InvalidArgumentError("post a write: more than 4096 bytes");
  }
  const RegionAccess access = {offset, region,
                               static_cast<uint32_t>(data.size())};
  const iovec body[] = {Part(access), Part(data.data(), data.size())};
  return Send(Command::kRegionWrite, kTypeCommand | kFlagNoReply, body, {});
}

absl::Status SocketClient::SetIrqs(uint32_t index,
                                   std::span<const int> events) {
  SetIrqsRequest request = {};
  request.argsz = sizeof(request);
  request.index = index;
  const iovec body[] = {Part(request)};
  if (events.empty()) {
    request.flags = kIrqDataNone | kIrqActionTrigger;
    return Transact(Command::kSetIrqs, body, {}, 0, 0).status();
  }
  request.flags = kIrqDataEventfd | kIrqActionTrigger;
  while (!events.empty()) {
    const auto chunk = events.first(std::min(events.size(), max_fds_));
    request.count = static_cast<uint32_t>(chunk.size());
    RETURN_IF_ERROR(Transact(Command::kSetIrqs, body, chunk, 0, 0).status());
    request.start += request.count;
    events = events.subspan(chunk.size());
  }
  return absl::OkStatus();
}

absl::Status SocketClient::MapDma(uint64_t iova, uint64_t bytes, int memory_fd,
                                  uint64_t fd_offset, bool device_may_write) {
  const DmaMapRequest request = {
      sizeof(DmaMapRequest),
      kDmaReadable | (device_may_write ? kDmaWritable : 0), fd_offset, iova,
      bytes};
  const iovec body[] = {Part(request)};
  return Transact(Command::kDmaMap, body, std::span(&memory_fd, 1), 0, 0)
      .status();
}

absl::Status SocketClient::UnmapDma(uint64_t iova, uint64_t bytes) {
  const DmaUnmapRequest request = {sizeof(DmaUnmapRequest), 0, iova, bytes};
  const iovec body[] = {Part(request)};
  return Transact(Command::kDmaUnmap, body, {}, 0, sizeof(request)).status();
}

absl::Status SocketClient::Reset() {
  return Transact(Command::kDeviceReset, {}, {}, 0, 0).status();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Client>> Client::Create(UniqueFd socket,
                                                       int timeout_ms) {
  auto client = std::make_unique<SocketClient>(std::move(socket), timeout_ms);
  RETURN_IF_ERROR(client->Negotiate());
  return client;
}

absl::StatusOr<std::unique_ptr<Client>> Client::Adopt(UniqueFd socket,
                                                      int timeout_ms) {
  auto client = std::make_unique<SocketClient>(std::move(socket), timeout_ms);
  client->SkipStaleReplies();
  return client;
}

}  // namespace bulkhead::vfio_user
