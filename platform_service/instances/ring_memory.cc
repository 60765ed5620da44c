#include "platform_service/instances/ring_memory.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"

namespace bulkhead::platform {
namespace {

// Drivers take one, of all their rings, or two. The grant's descriptors must
// fit into one message (SeqpacketChannel::kMaxFds), also with 16 vectors, 8
// doorbells and a session of 8 lanes.
constexpr size_t kMostAreas = 8;

}  // namespace

uint64_t RingMemory::UsedBytes() const {
  uint64_t used = 0;
  for (const Area& area : current_) used += area.bytes;
  return used;
}

absl::StatusOr<RingMemory::Area> RingMemory::Make(DeviceOwner& device,
                                                  uint64_t bytes) {
  Area area;
  area.bytes = bytes;
  ASSIGN_OR_RETURN(area.memory, CreateSealedMemory(label_, bytes));
  ASSIGN_OR_RETURN(area.iova,
                   device.Map(area.memory.get(), bytes, DeviceAccess::kWrite));
  return area;
}

absl::Status RingMemory::UnmapAll(DeviceOwner& device,
                                  std::vector<Area> areas) {
  absl::Status first;
  for (Area& area : areas) {
    first.Update(device.Unmap(area.iova, area.bytes, std::move(area.memory)));
  }
  return first;
}

absl::StatusOr<const RingMemory::Area*> RingMemory::Allocate(
    DeviceOwner& device, uint64_t bytes) {
  if (bytes == 0 || bytes % kPageBytes != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("allocate DMA memory: ", bytes,
                     " bytes is not a positive multiple of 4096"));
  }
  const uint64_t left = quota_bytes_ - std::min(UsedBytes(), quota_bytes_);
  if (bytes > left || current_.size() >= kMostAreas) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "allocate DMA memory: asked for ", bytes, " bytes; of the quota, ",
        left, " of ", quota_bytes_, " bytes and ", kMostAreas - current_.size(),
        " of ", kMostAreas, " areas are left"));
  }
  ASSIGN_OR_RETURN(Area area, Make(device, bytes));
  sizes_.push_back(bytes);
  current_.push_back(std::move(area));
  return &current_.back();
}

absl::Status RingMemory::Free(DeviceOwner& device, uint64_t iova) {
  const auto it =
      std::find_if(current_.begin(), current_.end(),
                   [iova](const Area& area) { return area.iova == iova; });
  if (it == current_.end()) {
    return absl::NotFoundError(
        absl::StrCat("free DMA memory: no area at IO address ", iova));
  }
  const auto size = std::find(sizes_.begin(), sizes_.end(), it->bytes);
  if (size != sizes_.end()) sizes_.erase(size);
  Area area = std::move(*it);
  current_.erase(it);
  return device.Unmap(area.iova, area.bytes, std::move(area.memory));
}

absl::Status RingMemory::Renew(DeviceOwner& device) {
  for (Area& area : current_) old_.push_back(std::move(area));
  current_.clear();
  RETURN_IF_ERROR(Prepare(device));
  for (Area& area : spare_) {
    std::memset(area.view.data(), 0, area.view.bytes());
    area.view = Mapping();
  }
  current_ = std::exchange(spare_, {});
  return absl::OkStatus();
}

absl::StatusOr<size_t> RingMemory::UnmapOld(DeviceOwner& device) {
  const size_t count = old_.size();
  RETURN_IF_ERROR(UnmapAll(device, std::exchange(old_, {})));
  return count;
}

absl::Status RingMemory::Prepare(DeviceOwner& device) {
  const bool fits = spare_.size() == sizes_.size() &&
                    std::equal(spare_.begin(), spare_.end(), sizes_.begin(),
                               [](const Area& a, uint64_t bytes) {
                                 return a.bytes == bytes;
                               });
  if (fits) return absl::OkStatus();
  RETURN_IF_ERROR(UnmapAll(device, std::exchange(spare_, {})));
  for (const uint64_t bytes : sizes_) {
    ASSIGN_OR_RETURN(Area area, Make(device, bytes));
    ASSIGN_OR_RETURN(area.view, Mapping::MapSealed(area.memory.get(), bytes,
                                                   Access::kReadWrite));
    // Touched now, so that the next driver's start has no page faults.
    std::memset(area.view.data(), 0, bytes);
    spare_.push_back(std::move(area));
  }
  return absl::OkStatus();
}

void RingMemory::Forget() {
  current_.clear();
  spare_.clear();
  old_.clear();
}

absl::Status RingMemory::Adopt(DeviceOwner& device, std::vector<Area> current,
                               std::vector<Area> spare) {
  for (const auto* areas : {&current, &spare}) {
    for (const Area& area : *areas) {
      RETURN_IF_ERROR(device.AdoptMapping(area.iova, area.bytes));
    }
  }
  for (Area& area : spare) {
    ASSIGN_OR_RETURN(
        area.view,
        Mapping::MapSealed(area.memory.get(), area.bytes, Access::kReadWrite));
  }
  current_ = std::move(current);
  spare_ = std::move(spare);
  sizes_.clear();
  for (const Area& area : current_) sizes_.push_back(area.bytes);
  return absl::OkStatus();
}

}  // namespace bulkhead::platform
