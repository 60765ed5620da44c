// Causes, masks, auto-clear and moderation, seen through the eventfds of the
// MSI-X vectors: every event signals, and none does that should not.
#include "nic_model/82576/interrupts.h"

#include "base/clock.h"
#include "gtest/gtest.h"
#include "nic_model/82576/test_bench.h"

namespace bulkhead::nic_model::i82576 {
namespace {

constexpr uint32_t kRxVector = 0;
constexpr uint32_t kTxVector = 1;
constexpr uint32_t kOtherVector = 2;
constexpr uint32_t kAll = 7;

class InterruptsTest : public ::testing::Test {
 protected:
  InterruptsTest() {
    bench_.ArmMsix();
    bench_.BringUp();
    bench_.Write(kGpie, kGpieMultipleMsix | kGpieEiame);
    bench_.Write(kIvar0, kIvarValid | (kIvarValid | kTxVector) << 8);
    bench_.Write(kIvarMisc, (kIvarValid | kOtherVector) << 8);
    bench_.Write(kIms, kIcrLsc);
    bench_.PostRx(15);
  }
  void ReceiveOne() {
    bench_.nic->Receive(TestFrame(64));
    bench_.nic->EndReceive();
  }

  TestBench bench_;
};

TEST_F(InterruptsTest, EachCauseReachesItsVector) {
  bench_.Write(kEims, kAll);
  ReceiveOne();
  EXPECT_EQ(bench_.Signals(kRxVector), 1u);
  EXPECT_EQ(bench_.Signals(kTxVector), 0u);
  bench_.QueueTx(TestFrame(64), kTxEop | kTxRs);
  bench_.RingTx();
  EXPECT_EQ(bench_.Signals(kTxVector), 1u);
  bench_.Write(kCtrl, 0);  // Link down: one of the other causes.
  EXPECT_EQ(bench_.Signals(kOtherVector), 1u);
  EXPECT_EQ(bench_.counters.interrupts, 3u);
}

TEST_F(InterruptsTest, MaskedVectorSignalsWhenUnmasked) {
  ReceiveOne();
  EXPECT_EQ(bench_.Signals(kRxVector), 0u);
  bench_.Write(kEims, kAll);
  EXPECT_EQ(bench_.Signals(kRxVector), 1u);
}

TEST_F(InterruptsTest, PendingVectorDoesNotSignalAgain) {
  bench_.Write(kEims, kAll);
  ReceiveOne();
  ReceiveOne();
  EXPECT_EQ(bench_.Signals(kRxVector), 1u);
  bench_.Write(kEicr, 1);
  ReceiveOne();
  EXPECT_EQ(bench_.Signals(kRxVector), 1u);
}

TEST_F(InterruptsTest, AutoClearAndAutoMaskHoldUntilReArmed) {
  bench_.Write(kEiac, kAll);
  bench_.Write(kEiam, kAll);
  bench_.Write(kEims, kAll);
  ReceiveOne();
  EXPECT_EQ(bench_.Signals(kRxVector), 1u);
  EXPECT_EQ(bench_.Read(kEims), kAll & ~1u);
  EXPECT_EQ(bench_.Read(kEics) & 1, 0u);
  ReceiveOne();
  EXPECT_EQ(bench_.Signals(kRxVector), 0u) << "masked by itself";
  bench_.Write(kEims, 1);
  EXPECT_EQ(bench_.Signals(kRxVector), 1u) << "and nothing was lost";
}

TEST_F(InterruptsTest, AutoMaskWaitsForEiame) {
  bench_.Write(kGpie, kGpieMultipleMsix);
  bench_.Write(kEiac, kAll);
  bench_.Write(kEiam, kAll);
  bench_.Write(kEims, kAll);
  ReceiveOne();
  ReceiveOne();
  EXPECT_EQ(bench_.Signals(kRxVector), 2u);
}

// The vector of the other causes, too, tells each change once.
TEST_F(InterruptsTest, OtherCausesSignalOnceUntilCleared) {
  bench_.Write(kEiac, kAll);
  bench_.Write(kEims, kAll);
  bench_.Write(kCtrl, 0);
  bench_.Write(kCtrl, kCtrlSlu);
  EXPECT_EQ(bench_.Signals(kOtherVector), 1u);
  bench_.Write(kIcr, kIcrLsc);
  bench_.Write(kCtrl, 0);
  EXPECT_EQ(bench_.Signals(kOtherVector), 1u);
  bench_.Write(kImc, kIcrLsc);
  bench_.Write(kIcr, kIcrLsc);
  bench_.Write(kCtrl, kCtrlSlu);
  EXPECT_EQ(bench_.Signals(kOtherVector), 0u) << "not in IMS";
}

TEST_F(InterruptsTest, EicsRaisesBySoftware) {
  bench_.Write(kEims, kAll);
  bench_.Write(kEics, 2);
  EXPECT_EQ(bench_.Signals(kTxVector), 1u);
}

TEST_F(InterruptsTest, EimcMasks) {
  bench_.Write(kEims, kAll);
  bench_.Write(kEimc, 1);
  EXPECT_EQ(bench_.Read(kEims), kAll & ~1u);
  ReceiveOne();
  EXPECT_EQ(bench_.Signals(kRxVector), 0u);
}

TEST_F(InterruptsTest, UnallocatedOrImpossibleVectorIsSilent) {
  bench_.Write(kEims, ~0u);
  for (const uint32_t ivar : {0x00u, 0x05u, 0x8au, 0x9fu, 0x7fu}) {
    bench_.Write(kIvar0, ivar);
    ReceiveOne();
    for (uint32_t v = 0; v < kMsixVectors; ++v) {
      EXPECT_EQ(bench_.Signals(v), 0u) << ivar;
    }
  }
}

TEST_F(InterruptsTest, NothingIsSentWithoutMultipleMsix) {
  bench_.Write(kGpie, 0);
  bench_.Write(kEims, kAll);
  ReceiveOne();
  EXPECT_EQ(bench_.Signals(kRxVector), 0u);
}

TEST_F(InterruptsTest, S3_NoneWithoutBusMastering) {
  bench_.Write(kEims, kAll);
  bench_.SetBusMaster(false);
  bench_.Write(kEics, 1);
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
  bench_.Write(kEims, kAll);
  bench_.Write(kEics, 1);
  EXPECT_EQ(bench_.Signals(kRxVector), 0u);
  ASSERT_EQ(bench_.nic->ReadRegion(3, 0x2000, bytes), 0);
  EXPECT_EQ(pending, 1u);
  table(12, 0);
  EXPECT_EQ(bench_.Signals(kRxVector), 1u);
  ASSERT_EQ(bench_.nic->ReadRegion(3, 0x2000, bytes), 0);
  EXPECT_EQ(pending, 0u);
}

TEST_F(InterruptsTest, ModerationDelaysAndMerges) {
  bench_.Write(kEitr0, 5000 << kEitrShift);
  bench_.Write(kEiac, kAll);
  bench_.Write(kEims, kAll);
  bench_.Write(kEics, 1);
  EXPECT_EQ(bench_.Signals(kRxVector), 1u) << "the first at once";
  const uint64_t first_ns = MonotonicNs();
  for (int i = 0; i < 3; ++i) bench_.Write(kEics, 1);
  // On a slow machine the interval may have passed by now: then there is
  // nothing left to see.
  uint64_t signals = bench_.Signals(kRxVector);
  while (signals == 0) {
    bench_.loop->RunOnce(1000);
    signals = bench_.Signals(kRxVector);
  }
  EXPECT_GE(MonotonicNs() - first_ns, 4'900'000u);
  EXPECT_EQ(signals, 1u) << "three made one";
}

TEST_F(InterruptsTest, VectorsStayArmedThroughAReset) {
  bench_.nic->Reset();
  bench_.SetBusMaster(true);
  bench_.Write(kGpie, kGpieMultipleMsix);
  bench_.Write(kEims, kAll);
  bench_.Write(kEics, 1);
  EXPECT_EQ(bench_.Signals(kRxVector), 1u);
}

TEST_F(InterruptsTest, DisarmedVectorsAreSilent) {
  bench_.nic->DisarmIrqs(2);
  bench_.Write(kEims, ~0u);
  bench_.Write(kEics, ~0u);
  for (uint32_t v = 0; v < kMsixVectors; ++v) EXPECT_EQ(bench_.Signals(v), 0u);
  EXPECT_EQ(bench_.counters.interrupts, 0u);
}

}  // namespace
}  // namespace bulkhead::nic_model::i82576
