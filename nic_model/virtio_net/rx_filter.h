// Which frames are for the host: Virtio 1.2, section 5.1.6.5.1 and .2.
#ifndef BULKHEAD_NIC_MODEL_VIRTIO_NET_RX_FILTER_H_
#define BULKHEAD_NIC_MODEL_VIRTIO_NET_RX_FILTER_H_

#include <cstdint>
#include <span>
#include <vector>

#include "nic_model/model.h"

namespace bulkhead::nic_model::virtio_net {

// A driver that says nothing gets everything, as with QEMU's device.
struct RxFilter {
  // As many as QEMU's device keeps; a longer table lets all through (5.1.6.5.2
  // leaves the imperfect filtering to the device).
  static constexpr size_t kMaxEntries = 64;

  bool promiscuous = true;
  bool all_multicast = false;
  bool table_overflow = false;
  std::vector<Mac> table;  // Unicast and multicast.

  // Requires: frame.size() >= 6.
  bool Passes(std::span<const uint8_t> frame, const Mac& own) const;
};

}  // namespace bulkhead::nic_model::virtio_net

#endif  // BULKHEAD_NIC_MODEL_VIRTIO_NET_RX_FILTER_H_
