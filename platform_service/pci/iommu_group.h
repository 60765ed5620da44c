// Which functions may stay as they are when another one of their IOMMU group is
// taken (S3): what `up` refuses, `doctor` and `devices` call shared.
#ifndef BULKHEAD_PLATFORM_SERVICE_PCI_IOMMU_GROUP_H_
#define BULKHEAD_PLATFORM_SERVICE_PCI_IOMMU_GROUP_H_

#include <cstdint>

#include "absl/strings/string_view.h"

namespace bulkhead::pci {

// Of a function with this class (24 bits) and this driver; empty: none.
//
// A PCI-to-PCI bridge passes DMA on and makes none of its own. A function
// without a driver, or with one that only keeps others away, makes none either.
// One that waits with vfio-pci makes none before it is opened, and a group has
// one opener at a time (drivers/vfio/group.c). So VFIO tolerates all of them.
inline bool MayStayInGroup(uint32_t class_code, absl::string_view driver) {
  constexpr uint32_t kBridge = 0x0604;
  return class_code >> 8 == kBridge || driver.empty() || driver == "pci-stub" ||
         driver == "vfio-pci";
}

}  // namespace bulkhead::pci

#endif  // BULKHEAD_PLATFORM_SERVICE_PCI_IOMMU_GROUP_H_
