// Causes, masks, auto-clear and moderation, seen through the eventfds of the
// MSI-X vectors: every event signals, and none does that should not.
#include "base/clock.h"
#include "nic_model/intel/chips_under_test.h"
#include "nic_model/intel/registers.h"

namespace bulkhead::nic_model::intel {
namespace {

constexpr uint32_t kRxVector = 0;
constexpr uint32_t kTxVector = 1;
constexpr uint32_t kOtherVector = 2;

// A controller whose vectors are armed and allocated.
template <typename Chip>
class ArmedBench : public Chip {
 public:
  explicit ArmedBench(const Faults& faults = {}) : Chip(faults) {
    this->ArmMsix();
    this->BringUp();
    this->AllocateVectors();
    this->PostRx(15);
  }
  void ReceiveOne() {
    this->nic->Receive(TestFrame(64));
    this->nic->EndReceive();
  }
  void Unmask(uint32_t causes) { this->Write(this->at.unmask_causes, causes); }
  void Raise(uint32_t causes) { this->Write(this->at.set_causes, causes); }
  void Clear(uint32_t causes) { this->Write(this->at.clear_causes, causes); }
  uint32_t Unmasked() { return this->Read(this->at.unmask_causes); }
};

template <typename Chip>
class Interrupts : public ::testing::Test {};
TYPED_TEST_SUITE(Interrupts, Chips, ChipNames);

TYPED_TEST(Interrupts, EachCauseReachesItsVector) {
  ArmedBench<TypeParam> bench;
  bench.Unmask(bench.at.rx_cause | bench.at.tx_cause | bench.at.other_cause);
  bench.ReceiveOne();
  EXPECT_EQ(bench.Signals(kRxVector), 1u);
  EXPECT_EQ(bench.Signals(kTxVector), 0u);
  bench.QueueTx(TestFrame(64), kTxEop | kTxRs);
  bench.RingTx();
  EXPECT_EQ(bench.Signals(kTxVector), 1u);
  bench.Write(kCtrl, 0);  // Link down: one of the other causes.
  EXPECT_EQ(bench.Signals(kOtherVector), 1u);
  EXPECT_EQ(bench.counters.interrupts, 3u);
}

TYPED_TEST(Interrupts, MaskedCauseSignalsWhenUnmasked) {
  ArmedBench<TypeParam> bench;
  bench.ReceiveOne();
  EXPECT_EQ(bench.Signals(kRxVector), 0u);
  bench.Unmask(bench.at.rx_cause);
  EXPECT_EQ(bench.Signals(kRxVector), 1u);
}

TYPED_TEST(Interrupts, PendingCauseDoesNotSignalAgain) {
  ArmedBench<TypeParam> bench;
  bench.Unmask(bench.at.rx_cause);
  bench.ReceiveOne();
  bench.ReceiveOne();
  EXPECT_EQ(bench.Signals(kRxVector), 1u);
  bench.Clear(bench.at.rx_cause);
  bench.ReceiveOne();
  EXPECT_EQ(bench.Signals(kRxVector), 1u);
}

TYPED_TEST(Interrupts, AutoMaskHoldsUntilReArmed) {
  ArmedBench<TypeParam> bench;
  bench.AutoMask();
  bench.Unmask(bench.at.rx_cause | bench.at.tx_cause);
  bench.ReceiveOne();
  EXPECT_EQ(bench.Signals(kRxVector), 1u);
  EXPECT_EQ(bench.Unmasked(), bench.at.tx_cause);
  EXPECT_EQ(bench.Read(bench.at.set_causes) & bench.at.rx_cause, 0u);
  bench.ReceiveOne();
  EXPECT_EQ(bench.Signals(kRxVector), 0u) << "masked by itself";
  bench.Unmask(bench.at.rx_cause);
  EXPECT_EQ(bench.Signals(kRxVector), 1u) << "and nothing was lost";
}

TYPED_TEST(Interrupts, SoftwareRaises) {
  ArmedBench<TypeParam> bench;
  bench.Unmask(bench.at.rx_cause | bench.at.tx_cause);
  bench.Raise(bench.at.rx_cause);
  EXPECT_EQ(bench.Signals(kRxVector), 1u);
  bench.Raise(bench.at.tx_cause);
  EXPECT_EQ(bench.Signals(kTxVector), 1u);
}

TYPED_TEST(Interrupts, MaskedCausesAreSilent) {
  ArmedBench<TypeParam> bench;
  bench.Unmask(bench.at.rx_cause | bench.at.tx_cause);
  bench.Write(bench.at.mask_causes, bench.at.rx_cause);
  EXPECT_EQ(bench.Unmasked(), bench.at.tx_cause);
  bench.ReceiveOne();
  EXPECT_EQ(bench.Signals(kRxVector), 0u);
}

TYPED_TEST(Interrupts, S3_NoneWithoutBusMastering) {
  ArmedBench<TypeParam> bench;
  bench.Unmask(bench.at.rx_cause);
  bench.SetBusMaster(false);
  bench.Raise(bench.at.rx_cause);
  EXPECT_EQ(bench.Signals(kRxVector), 0u);
  bench.SetBusMaster(true);
  EXPECT_EQ(bench.Signals(kRxVector), 1u) << "it was pending";
}

TYPED_TEST(Interrupts, TableMaskHoldsTheVectorPending) {
  ArmedBench<TypeParam> bench;
  const auto table = [&bench](uint32_t offset, uint32_t value) {
    bench.nic->WriteRegion(
        3, offset, std::span(reinterpret_cast<const uint8_t*>(&value), 4));
  };
  uint32_t pending = 0;
  const std::span<uint8_t> bytes(reinterpret_cast<uint8_t*>(&pending), 4);
  table(12, 1);
  bench.Unmask(bench.at.rx_cause);
  bench.Raise(bench.at.rx_cause);
  EXPECT_EQ(bench.Signals(kRxVector), 0u);
  ASSERT_EQ(bench.nic->ReadRegion(3, 0x2000, bytes), 0);
  EXPECT_EQ(pending, 1u);
  table(12, 0);
  EXPECT_EQ(bench.Signals(kRxVector), 1u);
  ASSERT_EQ(bench.nic->ReadRegion(3, 0x2000, bytes), 0);
  EXPECT_EQ(pending, 0u);
}

TYPED_TEST(Interrupts, ModerationDelaysAndMerges) {
  ArmedBench<TypeParam> bench;
  bench.Write(bench.at.eitr0, bench.at.eitr_5120_us);
  bench.AutoMask();
  const auto fire = [&bench] {
    bench.Unmask(bench.at.rx_cause);
    bench.Raise(bench.at.rx_cause);
  };
  fire();
  EXPECT_EQ(bench.Signals(kRxVector), 1u) << "the first at once";
  const uint64_t first_ns = MonotonicNs();
  fire();
  fire();
  fire();
  // On a slow machine the interval may have passed by now: then there is
  // nothing left to see.
  uint64_t signals = bench.Signals(kRxVector);
  while (signals == 0) {
    bench.loop->RunOnce(1000);
    signals = bench.Signals(kRxVector);
  }
  EXPECT_GE(MonotonicNs() - first_ns, 5'000'000u);
  EXPECT_EQ(signals, 1u) << "three made one";
}

TYPED_TEST(Interrupts, VectorsStayArmedThroughAReset) {
  ArmedBench<TypeParam> bench;
  bench.nic->Reset();
  bench.SetBusMaster(true);
  bench.AllocateVectors();
  bench.Unmask(bench.at.rx_cause);
  bench.Raise(bench.at.rx_cause);
  EXPECT_EQ(bench.Signals(kRxVector), 1u);
}

TYPED_TEST(Interrupts, DisarmedVectorsAreSilent) {
  ArmedBench<TypeParam> bench;
  bench.nic->DisarmIrqs(2);
  bench.Unmask(~0u);
  bench.Raise(~0u);
  for (uint32_t v = 0; v < bench.at.msix_vectors; ++v) {
    EXPECT_EQ(bench.Signals(v), 0u);
  }
  EXPECT_EQ(bench.counters.interrupts, 0u);
}

TYPED_TEST(Interrupts, FullEventfdDoesNotBlock) {
  ArmedBench<TypeParam> bench;
  // The driver holds the eventfd, too, and has filled its counter.
  bench.Unmask(bench.at.rx_cause);
  for (int i = 0; i < 3; ++i) {
    bench.FillEvent(kRxVector);
    bench.Clear(bench.at.rx_cause);
    bench.Raise(bench.at.rx_cause);
  }
  SUCCEED();
}

TYPED_TEST(Interrupts, StormSignalsManyTimes) {
  Faults faults;
  faults.interrupt_storm = true;
  ArmedBench<TypeParam> bench(faults);
  bench.Unmask(bench.at.rx_cause);
  bench.Raise(bench.at.rx_cause);
  EXPECT_GT(bench.Signals(kRxVector), 10u);
}

}  // namespace
}  // namespace bulkhead::nic_model::intel
