#include "nic_model/vfio_user/client.h"

#include <fcntl.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "nic_model/vfio_user/capabilities.h"
#include "nic_model/vfio_user/client_connection.h"
#include "nic_model/vfio_user/protocol.h"
#include "nic_model/vfio_user/socket_io.h"

namespace bulkhead::vfio_user {
namespace {

// Doorbells accepted of one region.
constexpr uint32_t kMaxDoorbells = kMaxFds / 2;

constexpr char kCapabilities[] =
    "{\"capabilities\":{\"max_msg_fds\":16,\"max_data_xfer_size\":4096}}";
static_assert(kMaxFds == 16 && kMaxTransfer == 4096);

RegionInfoBody RequestRegionInfo(uint32_t region) {
  RegionInfoBody info = {};
  info.argsz = sizeof(info);
  info.index = region;
  return info;
}

class SocketClient : public Client {
 public:
  SocketClient(UniqueFd socket, int timeout_ms, int patience_ms)
      : connection_(std::move(socket), timeout_ms, patience_ms) {}

  absl::Status Negotiate();
  void SkipStaleReplies() { connection_.SkipStaleReplies(); }

  absl::StatusOr<RegionInfo> GetRegionInfo(uint32_t region) override;
  absl::StatusOr<std::vector<RegionInfo>> GetRegionInfos(
      uint32_t count) override;
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
  absl::Status PostReset() override {
    return connection_.Post(Command::kDeviceReset, {});
  }
  void Cork() override { connection_.Cork(); }
  int fd() const override { return connection_.socket(); }

 private:
  using Body = ClientConnection::Body;

  absl::StatusOr<RegionInfo> TakeRegionInfo(Body body, uint32_t region);
  absl::StatusOr<std::vector<Doorbell>> TakeDoorbells(Body body,
                                                      uint32_t region);

  ClientConnection connection_;
  size_t max_fds_ = kDefaultMaxFds;  // The server takes in one message.
};

absl::Status SocketClient::Negotiate() {
  const Version version = {kMajorVersion, kMinorVersion};
  const iovec body[] = {Part(version),
                        Part(kCapabilities, sizeof(kCapabilities))};
  Version answer;
  ASSIGN_OR_RETURN(
      const Body reply,
      connection_.Transact(Command::kVersion, body, {}, sizeof(answer),
                           ClientConnection::kBufferBytes));
  std::memcpy(&answer, reply.data(), sizeof(answer));
  if (answer.major != kMajorVersion) {
    return connection_.Broken(absl::FailedPreconditionError(
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
  const RegionInfoBody request = RequestRegionInfo(region);
  const iovec body[] = {Part(request)};
  ASSIGN_OR_RETURN(
      const Body reply,
      connection_.Transact(Command::kGetRegionInfo, body, {}, sizeof(request),
                           ClientConnection::kBufferBytes));
  return TakeRegionInfo(reply, region);
}

absl::StatusOr<std::vector<RegionInfo>> SocketClient::GetRegionInfos(
    uint32_t count) {
  std::vector<RegionInfoBody> requests;
  std::vector<iovec> bodies;
  for (uint32_t region = 0; region < count; ++region) {
    requests.push_back(RequestRegionInfo(region));
  }
  for (const RegionInfoBody& request : requests) {
    bodies.push_back(Part(request));
  }
  std::vector<RegionInfo> infos;
  RETURN_IF_ERROR(connection_.TransactAll(
      Command::kGetRegionInfo, bodies, sizeof(RegionInfoBody),
      ClientConnection::kBufferBytes, [&](Body reply) -> absl::Status {
        const auto region = static_cast<uint32_t>(infos.size());
        ASSIGN_OR_RETURN(const RegionInfo info, TakeRegionInfo(reply, region));
        infos.push_back(info);
        return absl::OkStatus();
      }));
  return infos;
}

absl::StatusOr<RegionInfo> SocketClient::TakeRegionInfo(Body reply,
                                                        uint32_t region) {
  RegionInfoBody info;
  std::memcpy(&info, reply.data(), sizeof(info));
  if (info.index != region)
    return connection_.Nonsense("the info of another region");
  return RegionInfo{info.bytes, (info.flags & kRegionReadable) != 0,
                    (info.flags & kRegionWritable) != 0};
}

absl::StatusOr<std::vector<Doorbell>> SocketClient::GetDoorbells(
    uint32_t region) {
  const RegionIoFds request = {
      sizeof(RegionIoFds) + kMaxDoorbells * sizeof(IoEventFd), 0, region, 0};
  const iovec body[] = {Part(request)};
  ASSIGN_OR_RETURN(const Body reply,
                   connection_.Transact(Command::kGetRegionIoFds, body, {},
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
    return connection_.Nonsense("a list of doorbells that does not add up");
  }
  const std::vector<UniqueFd> fds = std::move(connection_.fds());
  std::vector<Doorbell> doorbells;
  for (size_t i = 0; i < entries; ++i) {
    IoEventFd entry;
    std::memcpy(&entry, body.data() + sizeof(info) + i * sizeof(entry),
                sizeof(entry));
    // One without its value in shared memory is of no use as a register.
    if (entry.type != kIoEventFdShadow) continue;
    if (entry.fd_index >= fds.size() || entry.shadow_fd_index >= fds.size() ||
        entry.shadow_offset > UINT32_MAX || entry.bytes > 8) {
      return connection_.Nonsense("a doorbell without its descriptors");
    }
    // Several doorbells may share a descriptor.
    Doorbell doorbell = {entry.offset, static_cast<uint32_t>(entry.bytes),
                         fds[entry.fd_index].Duplicate(),
                         fds[entry.shadow_fd_index].Duplicate(),
                         static_cast<uint32_t>(entry.shadow_offset)};
    if (!doorbell.event.valid() || !doorbell.shadow.valid()) {
      return connection_.Broken(
          ErrnoStatus("duplicate a doorbell's descriptor"));
    }
    doorbells.push_back(std::move(doorbell));
  }
  return doorbells;
}

absl::StatusOr<uint32_t> SocketClient::GetIrqCount(uint32_t index) {
  IrqInfo info = {sizeof(IrqInfo), 0, index, 0};
  const iovec body[] = {Part(info)};
  ASSIGN_OR_RETURN(const Body reply,
                   connection_.Transact(Command::kGetIrqInfo, body, {},
                                        sizeof(info), sizeof(info)));
  std::memcpy(&info, reply.data(), sizeof(info));
  if (info.index != index)
    return connection_.Nonsense("the info of another interrupt");
  return info.count;
}

absl::Status SocketClient::Read(uint32_t region, uint64_t offset,
                                std::span<uint8_t> data) {
  while (!data.empty()) {
    const size_t bytes = std::min(data.size(), kMaxTransfer);
    const RegionAccess access = {offset, region, static_cast<uint32_t>(bytes)};
    const iovec body[] = {Part(access)};
    const size_t expected = sizeof(access) + bytes;
    ASSIGN_OR_RETURN(const Body reply,
                     connection_.Transact(Command::kRegionRead, body, {},
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
        connection_.Transact(Command::kRegionWrite, body, {}, 0, sizeof(access))
            .status());
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
  return connection_.Post(Command::kRegionWrite, body);
}

absl::Status SocketClient::SetIrqs(uint32_t index,
                                   std::span<const int> events) {
  SetIrqsRequest request = {};
  request.argsz = sizeof(request);
  request.index = index;
  const iovec body[] = {Part(request)};
  if (events.empty()) {
    request.flags = kIrqDataNone | kIrqActionTrigger;
    return connection_.Transact(Command::kSetIrqs, body, {}, 0, 0).status();
  }
  request.flags = kIrqDataEventfd | kIrqActionTrigger;
  while (!events.empty()) {
    const auto chunk = events.first(std::min(events.size(), max_fds_));
    request.count = static_cast<uint32_t>(chunk.size());
    RETURN_IF_ERROR(
        connection_.Transact(Command::kSetIrqs, body, chunk, 0, 0).status());
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
  return connection_
      .Transact(Command::kDmaMap, body, std::span(&memory_fd, 1), 0, 0)
      .status();
}

absl::Status SocketClient::UnmapDma(uint64_t iova, uint64_t bytes) {
  const DmaUnmapRequest request = {sizeof(DmaUnmapRequest), 0, iova, bytes};
  const iovec body[] = {Part(request)};
  return connection_.Transact(Command::kDmaUnmap, body, {}, 0, sizeof(request))
      .status();
}

absl::Status SocketClient::Reset() {
  return connection_.Transact(Command::kDeviceReset, {}, {}, 0, 0).status();
}

}  // namespace

absl::StatusOr<std::vector<RegionInfo>> Client::GetRegionInfos(uint32_t count) {
  std::vector<RegionInfo> infos;
  for (uint32_t region = 0; region < count; ++region) {
    ASSIGN_OR_RETURN(const RegionInfo info, GetRegionInfo(region));
    infos.push_back(info);
  }
  return infos;
}

absl::StatusOr<std::unique_ptr<Client>> Client::Create(UniqueFd socket,
                                                       int timeout_ms,
                                                       int patience_ms) {
  auto client = std::make_unique<SocketClient>(std::move(socket), timeout_ms,
                                               patience_ms);
  RETURN_IF_ERROR(client->Negotiate());
  return client;
}

absl::StatusOr<std::vector<Doorbell>> Client::Greet(int socket, uint32_t region,
                                                    int timeout_ms) {
  UniqueFd own(::fcntl(socket, F_DUPFD_CLOEXEC, 0));
  if (!own.valid()) return ErrnoStatus("duplicate a vfio-user connection");
  SocketClient client(std::move(own), timeout_ms, timeout_ms);
  RETURN_IF_ERROR(client.Negotiate());
  absl::StatusOr<std::vector<Doorbell>> doorbells = client.GetDoorbells(region);
  if (absl::IsInvalidArgument(doorbells.status())) {
    return std::vector<Doorbell>();  // The server has none.
  }
  return doorbells;
}

absl::StatusOr<std::unique_ptr<Client>> Client::Adopt(UniqueFd socket,
                                                      int timeout_ms,
                                                      int patience_ms) {
  auto client = std::make_unique<SocketClient>(std::move(socket), timeout_ms,
                                               patience_ms);
  client->SkipStaleReplies();
  return client;
}

}  // namespace bulkhead::vfio_user
