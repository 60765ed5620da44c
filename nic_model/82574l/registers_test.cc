// Registers that the 82574 has of its own, or that have other bits there.
// nic_model/intel/registers_test.cc has the rest.
#include "nic_model/82574l/registers.h"

#include "gtest/gtest.h"
#include "nic_model/82574l/test_bench.h"

namespace bulkhead::nic_model::i82574 {
namespace {

TEST(Registers, ReadBack) {
  const struct {
    const char* name;
    uint32_t offset, written, expected;
  } kCases[] = {
      {"ITR has 16 bits", kItr, 0xabcd1234, 0x1234},
      {"EITR 4", kEitr0 + 16, 0x10fa0, 0x0fa0},
      {"PBA gives transmit the rest", kPba, 30, 10 << 16 | 30},
      {"PBA cannot exceed the buffer", kPba, 63, 0 << 16 | 40},
  };
  for (const auto& c : kCases) {
    TestBench bench;
    bench.Write(c.offset, c.written);
    EXPECT_EQ(bench.Read(c.offset), c.expected) << c.name;
  }
}

}  // namespace
}  // namespace bulkhead::nic_model::i82574
