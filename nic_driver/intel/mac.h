// What the MACs of Intel's 1 Gb/s NICs say in registers of the same layout. The
// register types are the driver's.
#ifndef BULKHEAD_NIC_DRIVER_INTEL_MAC_H_
#define BULKHEAD_NIC_DRIVER_INTEL_MAC_H_

#include <cstdint>

#include "nic_driver/framework/driver.h"
#include "nic_driver/framework/registers.h"

namespace bulkhead::nic_driver::intel {

template <typename STATUS>
LinkStatus LinkOf(Value<STATUS> status) {
  static constexpr uint32_t kMbps[] = {10, 100, 1000, 1000};
  if (ReadsAsGone(status)) return {};
  return {.up = status[STATUS::LU] != 0,
          .speed_mbps = kMbps[status[STATUS::SPEED]],
          .full_duplex = status[STATUS::FD] != 0};
}

template <typename RAL, typename RAH>
MacAddress MacOf(Value<RAL> low, Value<RAH> high) {
  MacAddress mac;
  for (int i = 0; i < 4; ++i) {
    mac[i] = static_cast<uint8_t>(low.bits() >> (8 * i));
  }
  mac[4] = static_cast<uint8_t>(high[RAH::ADDRESS]);
  mac[5] = static_cast<uint8_t>(high[RAH::ADDRESS] >> 8);
  return mac;
}

}  // namespace bulkhead::nic_driver::intel

#endif  // BULKHEAD_NIC_DRIVER_INTEL_MAC_H_
