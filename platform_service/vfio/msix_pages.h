// Where a function keeps its MSI-X vectors, so that its driver is not handed
// them: whoever writes there chooses what its card writes where as an
// interrupt.
#ifndef BULKHEAD_PLATFORM_SERVICE_VFIO_MSIX_PAGES_H_
#define BULKHEAD_PLATFORM_SERVICE_VFIO_MSIX_PAGES_H_

#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"

namespace bulkhead::platform {

// The table, or the array of pending bits: in `bar`, from `offset` on.
struct MsixPlace {
  uint32_t bar = 0;
  uint64_t offset = 0;

  bool operator==(const MsixPlace&) const = default;
};

// Of the MSI-X capability (PCI Express Base 4.0, 7.7.2); empty: there is none.
// A device may lie: any config space is survived.
std::vector<MsixPlace> FindMsix(absl::string_view config_space);

// How much of a BAR lies in front of the page of the first of `places` in it:
// whole pages. Registers behind are not granted either, which no NIC that has a
// driver here needs: the table has a BAR of its own (82574, 82576, QEMU's
// virtio), and 0 is returned.
uint64_t BytesBeforeMsix(uint32_t bar, uint64_t bar_bytes,
                         const std::vector<MsixPlace>& places);

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_VFIO_MSIX_PAGES_H_
