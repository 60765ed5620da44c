// Where a virtio device has its structures: Virtio 1.2, section 4.1.4.
#ifndef BULKHEAD_NIC_DRIVER_VIRTIO_NET_PCI_STRUCTURES_H_
#define BULKHEAD_NIC_DRIVER_VIRTIO_NET_PCI_STRUCTURES_H_

#include <cstdint>
#include <span>

#include "absl/status/statusor.h"

namespace bulkhead::nic_driver::virtio_net {

struct Structure {
  uint8_t bar = 0;
  uint32_t offset = 0;
  uint32_t bytes = 0;  // 0: the device does not have it.
};

struct PciStructures {
  Structure common;
  Structure notify;
  Structure device;
  uint32_t notify_multiplier = 0;
};

// Walks the capabilities in the first 256 bytes of config space. Of each kind
// the first counts (4.1.4.1). What a device says is hostile (S7): the walk ends
// whatever the list looks like.
absl::StatusOr<PciStructures> FindPciStructures(
    std::span<const uint8_t, 256> config);

}  // namespace bulkhead::nic_driver::virtio_net

#endif  // BULKHEAD_NIC_DRIVER_VIRTIO_NET_PCI_STRUCTURES_H_
