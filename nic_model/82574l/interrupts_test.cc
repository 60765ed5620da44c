// Causes, masks, auto-clear and moderation, seen through the eventfds of the
// MSI-X vectors: every event signals, and none does that should not.
#include "nic_model/82574l/interrupts.h"

#include <chrono>

#include "base/clock.h"
#include "gtest/gtest.h"
#include "nic_model/82574l/test_bench.h"

namespace bulkhead::nic_model::i82574 {
namespace {

constexpr uint32_t kRxVector = 0;
constexpr uint32_t kTxVector = 1;
constexpr uint32_t kOtherVector = 2;
// Receive queue 0 to vector 0, transmit queue 0 to 1, the rest to 2.
constexpr uint32_t kIvarValue = 0x8 << 0 | 0x9 << 8 | 0xa << 16;

class InterruptsTest : public ::testing::Test {
 protected:
  explicit InterruptsTest(const Faults& faults = {}) : bench_(faults) {
    bench_.ArmMsix();
    bench_.BringUp();
    bench_.Write(kIvar, kIvarValue);
    bench_.Write(kIcr, ~0u);
    bench_.PostRx(15);
  }
  void ReceiveOne() {
    bench_.nic->Receive(TestFrame(64));
    bench_.nic->EndReceive();
  }

  TestBench bench_;
};

TEST_F(InterruptsTest, EachCauseReachesItsVector) {
  bench_.Write(kIms, kIcrRxq0 | kIcrTxq0 | kIcrOther);
  ReceiveOne();
  EXPECT_EQ(bench_.Signals(kRxVector), 1u);
  EXPECT_EQ(bench_.Signals(kTxVector), 0u);
  bench_.QueueTx(TestFrame(64), kTxCmdEop | kTxCmdRs);
  bench_.RingTx();
  EXPECT_EQ(bench_.Signals(kTxVector), 1u);
  bench_.Write(kCtrl, 0);  // Link down: one of the other causes.
  EXPECT_EQ(bench_.Signals(kOtherVector), 1u);
  EXPECT_EQ(bench_.counters.interrupts, 3u);
}

TEST_F(InterruptsTest, MaskedCauseSignalsWhenUnmasked) {
  ReceiveOne();
  EXPECT_EQ(bench_.Signals(kRxVector), 0u);
  bench_.Write(kIms, kIcrRxq0);
  EXPECT_EQ(bench_.Signals(kRxVector), 1u);
}

TEST_F(InterruptsTest, PendingCauseDoesNotSignalAgain) {
  bench_.Write(kIms, kIcrRxq0);
  ReceiveOne();
  ReceiveOne();
  EXPECT_EQ(bench_.Signals(kRxVector), 1u);
  bench_.Write(kIcr, kIcrRxq0);
  ReceiveOne();
  EXPECT_EQ(bench_.Signals(kRxVector), 1u);
}

TEST_F(InterruptsTest, AutoClearMasksUntilReArmed) {
  bench_.Write(kEiac, kIcrRxq0);
  bench_.Write(kIms, kIcrRxq0);
  ReceiveOne();
  EXPECT_EQ(bench_.Signals(kRxVector), 1u);
  EXPECT_FALSE(bench_.Read(kIms) & kIcrRxq0);
  EXPECT_FALSE(bench_.Read(kIcs) & kIcrRxq0);
  ReceiveOne();
  EXPECT_EQ(bench_.Signals(kRxVector), 0u) << "masked by itself";
  bench_.Write(kIms, kIcrRxq0);
  EXPECT_EQ(bench_.Signals(kRxVector), 1u) << "and nothing was lost";
}

TEST_F(InterruptsTest, IcsRaisesBySoftware) {
  bench_.Write(kIms, kIcrRxq0);
  bench_.Write(kIcs, kIcrRxq0);
  EXPECT_EQ(bench_.Signals(kRxVector), 1u);
}

TEST_F(InterruptsTest, ImcMasks) {
  bench_.Write(kIms, kIcrRxq0 | kIcrTxq0);
  bench_.Write(kImc, kIcrRxq0);
  EXPECT_EQ(bench_.Read(kIms), kIcrTxq0);
  ReceiveOne();
  EXPECT_EQ(bench_.Signals(kRxVector), 0u);
}

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

TEST_F(InterruptsTest, S3_NoneWithoutBusMastering) {
  bench_.Write(kIms, kIcrRxq0);
  bench_.SetBusMaster(false);
  bench_.Write(kIcs, kIcrRxq0);
  EXPECT_EQ(bench_.Signals(kRxVector), 0u);
  bench_.SetBusMaster(true);
  EXPECT_EQ(bench_.Signals(kRxVector), 1u) << "it was pending";
}

TEST_F(InterruptsTest, TableMaskHoldsTheVectorPending) {
  const auto table = [this](uint32_t offset, uint32_t value) {
    bench_.nic->WriteRegion(
        3, offset, std::span(reinterpret_cast<const uint8_t*>(&value), 4));
  };
  uint32_t pending = 0;
  const std::span<uint8_t> bytes(reinterpret_cast<uint8_t*>(&pending), 4);
  table(12, 1);
  bench_.Write(kIms, kIcrRxq0);
  bench_.Write(kIcs, kIcrRxq0);
  EXPECT_EQ(bench_.Signals(kRxVector), 0u);
  ASSERT_EQ(bench_.nic->ReadRegion(3, 0x2000, bytes), 0);
  EXPECT_EQ(pending, 1u);
  table(12, 0);
  EXPECT_EQ(bench_.Signals(kRxVector), 1u);
  ASSERT_EQ(bench_.nic->ReadRegion(3, 0x2000, bytes), 0);
  EXPECT_EQ(pending, 0u);
}

TEST_F(InterruptsTest, ModerationDelaysAndMerges) {
  bench_.Write(kEitr0, 20'000);  // 5.12 ms.
  bench_.Write(kEiac, kIcrRxq0);
  const auto fire = [this] {
    bench_.Write(kIms, kIcrRxq0);
    bench_.Write(kIcs, kIcrRxq0);
  };
  fire();
  EXPECT_EQ(bench_.Signals(kRxVector), 1u) << "the first at once";
  const uint64_t first_ns = MonotonicNs();
  fire();
  fire();
  fire();
  // On a slow machine the interval may have passed by now: then there is
  // nothing left to see.
  uint64_t signals = bench_.Signals(kRxVector);
  while (signals == 0) {
    bench_.loop->RunOnce(1000);
    signals = bench_.Signals(kRxVector);
  }
  EXPECT_GE(MonotonicNs() - first_ns, 5'000'000u);
  EXPECT_EQ(signals, 1u) << "three made one";
}

TEST_F(InterruptsTest, DelayedTransmitInterrupt) {
  bench_.Write(kIms, kIcrTxq0);
  bench_.Write(kTidv, 1000);
  bench_.QueueTx(TestFrame(64), kTxCmdEop | kTxCmdRs | kTxCmdIde);
  bench_.RingTx();
  EXPECT_FALSE(bench_.Read(kIcs) & kIcrTxdw);
  while (bench_.Signals(kTxVector) == 0) bench_.loop->RunOnce(1000);
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

TEST_F(InterruptsTest, VectorsStayArmedThroughAReset) {
  bench_.nic->Reset();
  bench_.SetBusMaster(true);
  bench_.Write(kIvar, kIvarValue);
  bench_.Write(kIms, kIcrRxq0);
  bench_.Write(kIcs, kIcrRxq0);
  EXPECT_EQ(bench_.Signals(kRxVector), 1u);
}

TEST_F(InterruptsTest, DisarmedVectorsAreSilent) {
  bench_.nic->DisarmIrqs(2);
  bench_.Write(kIms, kIcrAll);
  bench_.Write(kIcs, kIcrAll);
  for (uint32_t v = 0; v < kMsixVectors; ++v) EXPECT_EQ(bench_.Signals(v), 0u);
  EXPECT_EQ(bench_.counters.interrupts, 0u);
}

TEST_F(InterruptsTest, FullEventfdDoesNotBlock) {
  // The driver holds the eventfd, too, and has filled its counter.
  bench_.Write(kIms, kIcrRxq0);
  for (int i = 0; i < 3; ++i) {
    bench_.FillEvent(kRxVector);
    bench_.Write(kIcr, kIcrRxq0);
    bench_.Write(kIcs, kIcrRxq0);
  }
  SUCCEED();
}

class StormTest : public InterruptsTest {
 protected:
  StormTest() : InterruptsTest(Storm()) {}
  static Faults Storm() {
    Faults faults;
    faults.interrupt_storm = true;
    return faults;
  }
};

TEST_F(StormTest, FaultSignalsManyTimes) {
  bench_.Write(kIms, kIcrRxq0);
  bench_.Write(kIcs, kIcrRxq0);
  EXPECT_GT(bench_.Signals(kRxVector), 10u);
}

}  // namespace
}  // namespace bulkhead::nic_model::i82574
