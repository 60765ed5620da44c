#include "platform_service/devices/device_owner.h"

#include <utility>

#include "base/errno_status.h"

namespace bulkhead::platform {

absl::StatusOr<uint64_t> DeviceOwner::Map(int memory_fd, uint64_t bytes,
                                          DeviceAccess access) {
  ASSIGN_OR_RETURN(const uint64_t iova, iovas_.Allocate(bytes));
  const absl::Status mapped = MapAt(iova, bytes, memory_fd, access);
  if (!mapped.ok()) {
    iovas_.Free(iova);
    return mapped;
  }
  return iova;
}

absl::Status DeviceOwner::AdoptMapping(uint64_t iova, uint64_t bytes) {
  return iovas_.Reserve(iova, bytes);
}

absl::Status DeviceOwner::Unmap(uint64_t iova, uint64_t bytes,
                                UniqueFd memory) {
  const absl::Status unmapped = UnmapAt(iova, bytes);
  if (unmapped.ok()) {
    iovas_.Free(iova);
  } else {
    quarantine_.push_back(std::move(memory));
  }
  return unmapped;
}

}  // namespace bulkhead::platform
