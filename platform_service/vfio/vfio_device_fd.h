// A VFIO device descriptor in the platform's hands: config space, registers,
// interrupts, reset.
#ifndef BULKHEAD_PLATFORM_SERVICE_VFIO_VFIO_DEVICE_FD_H_
#define BULKHEAD_PLATFORM_SERVICE_VFIO_VFIO_DEVICE_FD_H_

#include <cstdint>
#include <span>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace bulkhead::platform {

struct VfioRegion {
  uint64_t offset = 0;  // In the descriptor.
  uint64_t bytes = 0;   // 0: the device has none.
  bool mappable = false;
};

class VfioDeviceFd {
 public:
  VfioDeviceFd() = default;
  explicit VfioDeviceFd(UniqueFd fd) : fd_(std::move(fd)) {}

  // `index`: VFIO_PCI_BAR0_REGION_INDEX and so on.
  absl::StatusOr<VfioRegion> Region(uint32_t index) const;
  // `width`: 1, 2 or 4 bytes, at a multiple of it.
  absl::StatusOr<uint32_t> Read(const VfioRegion& region, uint64_t offset,
                                uint32_t width) const;
  absl::Status Write(const VfioRegion& region, uint64_t offset, uint32_t width,
                     uint32_t value) const;

  // Vectors of VFIO_PCI_MSIX_IRQ_INDEX and so on; 0 when there is none.
  absl::StatusOr<uint32_t> IrqCount(uint32_t index) const;
  // Vector i signals events[i]; an empty span disarms all.
  absl::Status SetIrqs(uint32_t index, std::span<const int> events) const;

  // By the first of the function's reset methods that works, so it says.
  absl::Status Reset() const;

  int fd() const { return fd_.get(); }
  bool valid() const { return fd_.valid(); }

 private:
  UniqueFd fd_;
};

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_VFIO_VFIO_DEVICE_FD_H_
