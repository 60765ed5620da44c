// Which frames the 82574 accepts by their destination: datasheet 7.1.1.
#ifndef BULKHEAD_NIC_MODEL_INTEL_RX_FILTER_H_
#define BULKHEAD_NIC_MODEL_INTEL_RX_FILTER_H_

#include <cstdint>
#include <span>

#include "nic_model/intel/register_file.h"

namespace bulkhead::nic_model::intel {

// Requires: a destination address of 6 bytes.
bool PassesFilter(const RegisterFile& regs,
                  std::span<const uint8_t> destination);

}  // namespace bulkhead::nic_model::intel

#endif  // BULKHEAD_NIC_MODEL_INTEL_RX_FILTER_H_
