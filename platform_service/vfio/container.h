// One instance's container of DMA mappings, and the IOMMU group in it (S3).
#ifndef BULKHEAD_PLATFORM_SERVICE_VFIO_CONTAINER_H_
#define BULKHEAD_PLATFORM_SERVICE_VFIO_CONTAINER_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace bulkhead::platform {

// Both descriptors stay here; nobody else but the supervisor's parking lot has
// them. With the last one of them go all mappings, and the NIC's DMA.
class VfioContainer {
 public:
  // Errors name the cause and what mends it.
  static absl::StatusOr<VfioContainer> Open(int group);
  // What an earlier platform service opened.
  VfioContainer(UniqueFd container, UniqueFd group)
      : container_(std::move(container)), group_(std::move(group)) {}

  // The device sees `memory_fd` from its start at `iova`. The kernel pins the
  // pages, whatever becomes of this process.
  absl::Status Map(uint64_t iova, uint64_t bytes, int memory_fd, bool writable);
  // When it returns ok, the IOMMU lets no access through any more.
  absl::Status Unmap(uint64_t iova, uint64_t bytes);

  // Of everything that is mapped.
  absl::Status UnmapAll();

  absl::StatusOr<UniqueFd> OpenDevice(const std::string& address) const;

  int container_fd() const { return container_.get(); }
  int group_fd() const { return group_.get(); }

 private:
  UniqueFd container_;
  UniqueFd group_;
};

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_VFIO_CONTAINER_H_
