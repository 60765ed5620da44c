// The statistics registers: datasheet 10.2.7.
#ifndef BULKHEAD_NIC_MODEL_INTEL_STATISTICS_H_
#define BULKHEAD_NIC_MODEL_INTEL_STATISTICS_H_

#include <cstdint>
#include <span>

#include "nic_model/intel/register_file.h"

namespace bulkhead::nic_model::intel {

// Each register sticks at all ones rather than wrap, and clears when it is
// read; of a 64-bit pair, when its high half is. Lengths include the FCS.
class Statistics {
 public:
  explicit Statistics(RegisterFile& regs) : regs_(regs) {}

  static bool Holds(uint32_t offset) {
    return offset >= kStatisticsFirst && offset <= kStatisticsLast;
  }
  uint32_t Read(uint32_t offset);

  void Count(uint32_t offset, uint32_t by = 1);
  // A frame that passed the address filter; one that went out. `bytes` without
  // FCS.
  void CountReceived(std::span<const uint8_t> frame);
  void CountSent(std::span<const uint8_t, 6> destination, size_t bytes);
  // A frame that came in, whatever became of it.
  void CountArrived(size_t bytes);

 private:
  void Count64(uint32_t low_offset, uint64_t by);
  void CountBySize(uint32_t first_offset, size_t bytes);

  RegisterFile& regs_;
};

}  // namespace bulkhead::nic_model::intel

#endif  // BULKHEAD_NIC_MODEL_INTEL_STATISTICS_H_
