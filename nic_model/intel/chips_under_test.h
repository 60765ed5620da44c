// The controllers that the tests of this directory run on. What one of them has
// alone is tested beside it.
#ifndef BULKHEAD_NIC_MODEL_INTEL_CHIPS_UNDER_TEST_H_
#define BULKHEAD_NIC_MODEL_INTEL_CHIPS_UNDER_TEST_H_

#include <string>

#include "gtest/gtest.h"
#include "nic_model/82574l/test_bench.h"
#include "nic_model/82576/test_bench.h"

namespace bulkhead::nic_model::intel {

using Chips = ::testing::Types<i82574::TestBench, i82576::TestBench>;

struct ChipNames {
  template <typename Chip>
  static std::string GetName(int) {
    return Chip::kName;
  }
};

}  // namespace bulkhead::nic_model::intel

#endif  // BULKHEAD_NIC_MODEL_INTEL_CHIPS_UNDER_TEST_H_
