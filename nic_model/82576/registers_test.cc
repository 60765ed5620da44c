// Registers that the 82576 has of its own, or that have other bits there.
// nic_model/intel/registers_test.cc has the rest.
#include "nic_model/82576/registers.h"

#include "gtest/gtest.h"
#include "nic_model/82576/test_bench.h"

namespace bulkhead::nic_model::i82576 {
namespace {

TEST(Registers, ReadBack) {
  const struct {
    const char* name;
    uint32_t offset, written, expected;
  } kCases[] = {
      {"EIMC reads as 0", kEimc, 0xff, 0},
      {"EIAC has 25 bits", kEiac, ~0u, kEicrAll},
      {"RLPML has 14 bits", kRlpml, ~0u, 0x3fff},
      {"queue 15 is storage", kRdt + 15 * kQueueStride, 77, 77},
  };
  for (const auto& c : kCases) {
    TestBench bench;
    bench.Write(c.offset, c.written);
    EXPECT_EQ(bench.Read(c.offset), c.expected) << c.name;
  }
}

// Registers that older controllers have elsewhere are the same registers.
TEST(Registers, Aliases) {
  const struct {
    uint32_t old, now;
  } kCases[] = {{0x2800, kRdbal},
                {0x280c, kSrrctl},
                {0x2818, kRdt},
                {0x2828, kRxdctl},
                {0x2b04, kRdbah + 3 * kQueueStride},
                {0x3808, kTdlen},
                {0x3828, kTxdctl},
                {0x3a00, kTdbal + 2 * kQueueStride},
                {0x0004, kCtrl}};
  for (const auto& c : kCases) {
    TestBench bench;
    bench.Write(c.old, 0x80);
    EXPECT_EQ(bench.Read(c.now), 0x80u) << std::hex << c.old;
    EXPECT_EQ(bench.Read(c.old), 0x80u) << std::hex << c.old;
  }
  TestBench bench;
  bench.Write(0x00c8, kIcrLsc);
  EXPECT_EQ(bench.Read(kIcs), kIcrLsc);
}

}  // namespace
}  // namespace bulkhead::nic_model::i82576
