// What interrupts of the 82574 have of their own: allocation by IVAR, causes
// that ICR's reader clears, delays. nic_model/intel/interrupts_test.cc has the
// rest.
#include "nic_model/82574l/interrupts.h"

#include "gtest/gtest.h"
#include "nic_model/82574l/test_bench.h"

namespace bulkhead::nic_model::i82574 {
namespace {

class InterruptsTest : public ::testing::Test {
 protected:
  InterruptsTest() {
    bench_.ArmMsix();
    bench_.BringUp();
    bench_.AllocateVectors();
  }

  TestBench bench_;
};

TEST_F(InterruptsTest, UnallocatedOrImpossibleVectorIsSilent) {
  for (const uint32_t ivar : {0x0u, 0x7u, 0xdu, 0xfu}) {
    bench_.Write(kIvar, ivar);
    bench_.Write(kIms, kIcrRxq0);
    bench_.Write(kIcs, kIcrRxq0);
    for (uint32_t v = 0; v < kMsixVectors; ++v) {
      EXPECT_EQ(bench_.Signals(v), 0u) << ivar;
    }
    bench_.Write(kIcr, ~0u);
  }
}

TEST_F(InterruptsTest, DelayedTransmitInterrupt) {
  bench_.Write(kIms, kIcrTxq0);
  bench_.Write(kTidv, 1000);
  bench_.QueueTx(intel::TestFrame(64), kTxEop | kTxRs | kTxIde);
  bench_.RingTx();
  EXPECT_FALSE(bench_.Read(kIcs) & kIcrTxdw);
  while (bench_.Signals(1) == 0) bench_.loop->RunOnce(1000);
}

TEST_F(InterruptsTest, IcrReadClearsOnlyWhenItMay) {
  bench_.Write(kIms, kIcrRxq0);
  bench_.Write(kIcs, kIcrRxq0);
  EXPECT_TRUE(bench_.Read(kIcr) & kIcrIntAsserted);
  EXPECT_TRUE(bench_.Read(kIcr) & kIcrRxq0) << "MSI-X: not by reading";
  bench_.Write(kIcr, kIcrRxq0);
  EXPECT_FALSE(bench_.Read(kIcr) & kIcrRxq0);
  bench_.Write(kImc, ~0u);
  bench_.Write(kIcs, kIcrRxq0);
  EXPECT_TRUE(bench_.Read(kIcr) & kIcrRxq0);
  EXPECT_FALSE(bench_.Read(kIcr) & kIcrRxq0) << "all masked: by reading";
}

}  // namespace
}  // namespace bulkhead::nic_model::i82574
