#include "nic_model/vfio_user/message_handler.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "nic_model/vfio_user/socket_io.h"

namespace bulkhead::vfio_user {
namespace {

constexpr char kCapabilities[] =
    "{\"capabilities\":{\"max_msg_fds\":16,\"max_data_xfer_size\":4096,"
    "\"max_dma_maps\":256,\"pgsizes\":4096,\"write_multiple\":true}}";
static_assert(kMaxFds == 16 && kServerMaxTransfer == 4096);

// Copies the fixed part of a request; false when the body is shorter.
template <typename T>
bool Take(std::span<const uint8_t> body, T* out) {
  if (body.size() < sizeof(T)) return false;
  std::memcpy(out, body.data(), sizeof(T));
  return true;
}

template <typename T>
void Append(const T& part, Reply* reply) {
  std::memcpy(reply->body.data() + reply->body_bytes, &part, sizeof(T));
  reply->body_bytes += sizeof(T);
}

// The index in the reply's descriptors at which `fd` is, or will be.
uint32_t FdIndex(int fd, std::vector<int>* fds) {
  const auto it = std::find(fds->begin(), fds->end(), fd);
  const auto index = static_cast<uint32_t>(it - fds->begin());
  if (it == fds->end()) fds->push_back(fd);
  return index;
}

}  // namespace

bool MessageHandler::MayDo(Command command) const {
  if (role_ == Role::kOwner) return true;
  switch (command) {
    case Command::kVersion:
    case Command::kGetInfo:
    case Command::kGetRegionInfo:
    case Command::kGetRegionIoFds:
    case Command::kGetIrqInfo:
    case Command::kRegionRead:
    case Command::kRegionWrite:  // Except to config space: CheckAccess.
    case Command::kRegionWriteMulti:
      return true;
    // S3: who could map, arm or reset could reach another's memory or NIC.
    case Command::kDmaMap:
    case Command::kDmaUnmap:
    case Command::kSetIrqs:
    case Command::kDeviceReset:
      return false;
  }
  return true;  // Unknown: Dispatch says so.
}

void MessageHandler::Handle(const Header& header, Body body,
                            std::vector<UniqueFd> fds, Reply* reply) {
  reply->body_bytes = 0;
  reply->fds.clear();
  const auto command = static_cast<Command>(header.command);
  const bool wants_fds =
      command == Command::kDmaMap || command == Command::kSetIrqs;
  if ((header.flags & kTypeMask) != kTypeCommand) {
    reply->error = EINVAL;
  } else if (!negotiated_ && command != Command::kVersion) {
    reply->error = EPROTO;
  } else if (!MayDo(command)) {
    reply->error = EPERM;
  } else if (!fds.empty() && !wants_fds) {
    reply->error = EINVAL;
  } else {
    reply->error = Dispatch(command, body, fds, reply);
  }
  if (reply->error == EPERM) ++refused_;
}

int MessageHandler::Dispatch(Command command, Body body,
                             std::vector<UniqueFd>& fds, Reply* reply) {
  switch (command) {
    case Command::kVersion:
      return Negotiate(body, reply);
    case Command::kDmaMap:
      return MapDma(body, fds);
    case Command::kDmaUnmap:
      return UnmapDma(body, reply);
    case Command::kGetInfo:
      return GetInfo(body, reply);
    case Command::kGetRegionInfo:
      return GetRegionInfo(body, reply);
    case Command::kGetRegionIoFds:
      return GetRegionIoFds(body, reply);
    case Command::kGetIrqInfo:
      return GetIrqInfo(body, reply);
    case Command::kSetIrqs:
      return SetIrqs(body, fds);
    case Command::kRegionRead:
      return RegionRead(body, reply);
    case Command::kRegionWrite:
      return RegionWrite(body, reply);
    case Command::kRegionWriteMulti:
      return RegionWriteMulti(body, reply);
    case Command::kDeviceReset:
      device_.Reset();
      return 0;
  }
  return EOPNOTSUPP;
}

int MessageHandler::Negotiate(Body body, Reply* reply) {
  Version version;
  if (!Take(body, &version)) return EINVAL;
  if (version.major != kMajorVersion) return EINVAL;
  // May come again: a client that took the socket over starts anew.
  negotiated_ = true;
  Append(Version{kMajorVersion, std::min(version.minor, kMinorVersion)}, reply);
  Append(kCapabilities, reply);
  return 0;
}

int MessageHandler::MapDma(Body body, std::vector<UniqueFd>& fds) {
  DmaMapRequest request;
  if (!Take(body, &request)) return EINVAL;
  // Memory that has no descriptor would need DMA by message, which a NIC's
  // data path cannot afford.
  if (fds.size() != 1) return EINVAL;
  if ((request.flags & ~(kDmaReadable | kDmaWritable)) != 0) return EINVAL;
  if (request.bytes == 0 || request.iova + request.bytes - 1 < request.iova ||
      request.fd_offset + request.bytes - 1 < request.fd_offset) {
    return EINVAL;
  }
  return device_.MapDma(request.iova, request.bytes, std::move(fds[0]),
                        request.fd_offset, (request.flags & kDmaReadable) != 0,
                        (request.flags & kDmaWritable) != 0);
}

int MessageHandler::UnmapDma(Body body, Reply* reply) {
  DmaUnmapRequest request;
  if (!Take(body, &request)) return EINVAL;
  if (request.flags == kUnmapAll) {
    if (request.iova != 0 || request.bytes != 0) return EINVAL;
    device_.UnmapAllDma();
  } else {
    if (request.flags != 0) return EINVAL;
    const int error = device_.UnmapDma(request.iova, request.bytes);
    if (error != 0) return error;
  }
  request.argsz = sizeof(request);
  Append(request, reply);
  return 0;
}

int MessageHandler::GetInfo(Body body, Reply* reply) {
  DeviceInfo info;
  if (!Take(body, &info) || info.argsz < sizeof(info)) return EINVAL;
  Append(DeviceInfo{sizeof(info), kDeviceCanReset | kDeviceIsPci,
                    kPciRegionCount, kPciIrqTypeCount},
         reply);
  return 0;
}

int MessageHandler::GetRegionInfo(Body body, Reply* reply) {
  RegionInfoBody info;
  if (!Take(body, &info) || info.argsz < sizeof(info)) return EINVAL;
  if (info.index >= kPciRegionCount) return EINVAL;
  const RegionInfo region = device_.Region(info.index);
  const uint32_t flags = (region.readable ? kRegionReadable : 0) |
                         (region.writable ? kRegionWritable : 0);
  Append(RegionInfoBody{sizeof(info), flags, info.index, 0, region.bytes, 0},
         reply);
  return 0;
}

int MessageHandler::GetRegionIoFds(Body body, Reply* reply) {
  RegionIoFds request;
  if (!Take(body, &request)) return EINVAL;
  if (request.flags != 0 || request.count != 0 ||
      request.argsz < sizeof(request) || request.index >= kPciRegionCount) {
    return EINVAL;
  }
  const std::span<const DoorbellOffer> doorbells =
      device_.Doorbells(request.index);
  const auto full_bytes = static_cast<uint32_t>(
      sizeof(RegionIoFds) + doorbells.size() * sizeof(IoEventFd));
  Append(RegionIoFds{full_bytes, 0, request.index,
                     static_cast<uint32_t>(doorbells.size())},
         reply);
  // Too small a buffer: the client learns the size and asks again.
  if (request.argsz < full_bytes) return 0;
  for (const DoorbellOffer& doorbell : doorbells) {
    Append(IoEventFd{doorbell.offset, doorbell.bytes,
                     FdIndex(doorbell.event_fd, &reply->fds), kIoEventFdShadow,
                     0, FdIndex(doorbell.shadow_fd, &reply->fds),
                     doorbell.shadow_offset, 0},
           reply);
  }
  return 0;
}

int MessageHandler::GetIrqInfo(Body body, Reply* reply) {
  IrqInfo info;
  if (!Take(body, &info) || info.argsz < sizeof(info)) return EINVAL;
  if (info.index >= kPciIrqTypeCount) return EINVAL;
  const uint32_t count = device_.IrqCount(info.index);
  Append(IrqInfo{sizeof(info), count == 0 ? 0 : kIrqByEventfd | kIrqNoResize,
                 info.index, count},
         reply);
  return 0;
}

int MessageHandler::SetIrqs(Body body, std::vector<UniqueFd>& fds) {
  SetIrqsRequest request;
  if (!Take(body, &request) || request.index >= kPciIrqTypeCount) {
    return EINVAL;
  }
  const Body data = body.subspan(sizeof(request));
  const uint32_t vectors = device_.IrqCount(request.index);
  if (request.start > vectors || request.count > vectors - request.start) {
    return EINVAL;
  }
  switch (request.flags) {
    case kIrqDataNone | kIrqActionTrigger:
      if (!fds.empty()) return EINVAL;
      if (request.start == 0 && request.count == 0) {
        device_.DisarmIrqs(request.index);
        return 0;
      }
      for (uint32_t i = 0; i < request.count; ++i) {
        const int error = device_.TriggerIrq(request.index, request.start + i);
        if (error != 0) return error;
      }
      return 0;
    case kIrqDataBool | kIrqActionTrigger:
      if (!fds.empty() || data.size() != request.count) return EINVAL;
      for (uint32_t i = 0; i < request.count; ++i) {
        if (data[i] == 0) continue;
        const int error = device_.TriggerIrq(request.index, request.start + i);
        if (error != 0) return error;
      }
      return 0;
    case kIrqDataEventfd | kIrqActionTrigger:
      // No descriptors at all: these vectors are disarmed.
      if (fds.empty()) fds.resize(request.count);
      if (fds.size() != request.count || request.count == 0) return EINVAL;
      return device_.ArmIrqs(request.index, request.start, std::move(fds));
    default:
      return EINVAL;
  }
}

int MessageHandler::CheckAccess(const RegionAccess& access, bool write) const {
  if (access.region >= kPciRegionCount) return EINVAL;
  if (access.count == 0 || access.count > kServerMaxTransfer) return EINVAL;
  const RegionInfo region = device_.Region(access.region);
  if (write ? !region.writable : !region.readable) return EINVAL;
  if (access.count > region.bytes ||
      access.offset > region.bytes - access.count) {
    return EINVAL;
  }
  // S3: config space holds bus mastering and the BARs.
  if (write && role_ == Role::kDriver && access.region >= kConfigRegion) {
    return EPERM;
  }
  return 0;
}

int MessageHandler::RegionRead(Body body, Reply* reply) {
  RegionAccess access;
  if (!Take(body, &access)) return EINVAL;
  int error = CheckAccess(access, /*write=*/false);
  if (error != 0) return error;
  Append(access, reply);
  error = device_.ReadRegion(
      access.region, access.offset,
      std::span(reply->body).subspan(sizeof(access), access.count));
  reply->body_bytes += access.count;
  return error;
}

int MessageHandler::CheckedWrite(const RegionAccess& access, Body data) {
  const int error = CheckAccess(access, /*write=*/true);
  if (error != 0) return error;
  if (data.size() != access.count) return EINVAL;
  return device_.WriteRegion(access.region, access.offset, data);
}

int MessageHandler::RegionWrite(Body body, Reply* reply) {
  RegionAccess access;
  if (!Take(body, &access)) return EINVAL;
  Append(access, reply);
  return CheckedWrite(access, body.subspan(sizeof(access)));
}

int MessageHandler::RegionWriteMulti(Body body, Reply* reply) {
  WriteMultiHeader multi;
  if (!Take(body, &multi)) return EINVAL;
  body = body.subspan(sizeof(multi));
  if (multi.count > body.size() / sizeof(SingleWrite) ||
      multi.count * sizeof(SingleWrite) != body.size()) {
    return EINVAL;
  }
  for (uint64_t i = 0; i < multi.count; ++i) {
    SingleWrite write;
    Take(body.subspan(i * sizeof(write)), &write);
    if (write.count > sizeof(write.data)) return EINVAL;
    const int error = CheckedWrite({write.offset, write.region, write.count},
                                   Body(write.data, write.count));
    if (error != 0) return error;
  }
  Append(multi, reply);
  return 0;
}

}  // namespace bulkhead::vfio_user
