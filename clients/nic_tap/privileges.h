// Gives up privileges before the first frame.
#ifndef BULKHEAD_CLIENTS_NIC_TAP_PRIVILEGES_H_
#define BULKHEAD_CLIENTS_NIC_TAP_PRIVILEGES_H_

#include <cstdint>

#include "absl/status/status.h"

namespace bulkhead::nic_tap {

// Becomes nobody, with these capabilities (bits, of the first 32) of those that
// there are, and without a way to get others.
absl::Status KeepOnly(uint32_t capabilities);

}  // namespace bulkhead::nic_tap

#endif  // BULKHEAD_CLIENTS_NIC_TAP_PRIVILEGES_H_
