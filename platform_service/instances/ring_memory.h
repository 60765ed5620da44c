// The DMA memory that a driver asked for: descriptor rings, which the driver
// reads and writes and its NIC reaches. Frame memory belongs to sessions.
#ifndef BULKHEAD_PLATFORM_SERVICE_INSTANCES_RING_MEMORY_H_
#define BULKHEAD_PLATFORM_SERVICE_INSTANCES_RING_MEMORY_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/shared_memory.h"
#include "base/unique_fd.h"
#include "platform_service/devices/device_owner.h"

namespace bulkhead::platform {

// Two sets of areas: those of the running generation, and as many spare ones,
// created and mapped while there is time, for the next.
//
// Guarantees (S4): an old area is never handed out again. Spare areas are
// zeroed after the reset was verified, and not before: a NIC under a hostile
// driver could have written to them while it ran. Threading: the loop's thread.
class RingMemory {
 public:
  struct Area {
    uint64_t iova = 0;
    uint64_t bytes = 0;
    UniqueFd memory;
    Mapping view;  // Of a spare area, for zeroing it.
  };

  // `label` names the memory in /proc/PID/maps.
  RingMemory(std::string label, uint64_t quota_bytes)
      : label_(std::move(label)), quota_bytes_(quota_bytes) {}

  // A zeroed area of `bytes` for the running generation. InvalidArgument: no
  // multiple of 4096; ResourceExhausted: over the quota, says what is left.
  absl::StatusOr<const Area*> Allocate(DeviceOwner& device, uint64_t bytes);
  // NotFound: no area of this generation.
  absl::Status Free(DeviceOwner& device, uint64_t iova);

  // What the next generation starts with: areas of the sizes that this one
  // used. Requires: the device was reset and verified.
  absl::Status Renew(DeviceOwner& device);
  // Unmaps the areas that Renew replaced; returns how many. Apart from it so
  // that the next generation can start meanwhile. Requires: bus mastering has
  // been off since.
  absl::StatusOr<size_t> UnmapOld(DeviceOwner& device);
  // Makes the spare areas, unless they are there.
  absl::Status Prepare(DeviceOwner& device);
  // The device is gone, and with it every mapping.
  void Forget();
  // Another driver comes: it asks for sizes of its own.
  void ForgetSizes() { sizes_.clear(); }

  const std::vector<Area>& current() const { return current_; }
  const std::vector<Area>& spare() const { return spare_; }

  // As they were before a restart of the platform service; the device has the
  // mappings.
  absl::Status Adopt(DeviceOwner& device, std::vector<Area> current,
                     std::vector<Area> spare);

 private:
  absl::StatusOr<Area> Make(DeviceOwner& device, uint64_t bytes);
  absl::Status UnmapAll(DeviceOwner& device, std::vector<Area> areas);
  uint64_t UsedBytes() const;

  std::string label_;
  uint64_t quota_bytes_;
  std::vector<Area> current_;
  std::vector<Area> spare_;
  std::vector<Area> old_;        // Replaced, still mapped.
  std::vector<uint64_t> sizes_;  // Of the areas the next generation gets.
};

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_INSTANCES_RING_MEMORY_H_
