#include "nic_model/virtio_net/rx_filter.h"

#include <algorithm>

namespace bulkhead::nic_model::virtio_net {

bool RxFilter::Passes(std::span<const uint8_t> frame, const Mac& own) const {
  if (promiscuous) return true;
  Mac to;
  std::copy_n(frame.begin(), to.size(), to.begin());
  if (to == own) return true;
  const bool broadcast =
      std::all_of(to.begin(), to.end(), [](uint8_t b) { return b == 0xff; });
  if (broadcast) return true;
  if ((to[0] & 1) != 0 && all_multicast) return true;
  return table_overflow ||
         std::find(table.begin(), table.end(), to) != table.end();
}

}  // namespace bulkhead::nic_model::virtio_net
