// What interrupts of the 82576 have of their own: two layers, allocation by
// IVAR, and GPIE. nic_model/intel/interrupts_test.cc has the rest.
#include "nic_model/82576/interrupts.h"

#include "gtest/gtest.h"
#include "nic_model/82576/test_bench.h"

namespace bulkhead::nic_model::i82576 {
namespace {

constexpr uint32_t kRxVector = 0;
constexpr uint32_t kOtherVector = 2;
constexpr uint32_t kAll = 7;

class InterruptsTest : public ::testing::Test {
 protected:
  InterruptsTest() {
    bench_.ArmMsix();
    bench_.BringUp();
    bench_.AllocateVectors();
    bench_.PostRx(15);
  }
  void ReceiveOne() {
    bench_.nic->Receive(TestFrame(64));
    bench_.nic->EndReceive();
  }

  TestBench bench_;
};

TEST_F(InterruptsTest, AutoMaskWaitsForEiame) {
  bench_.Write(kGpie, kGpieMultipleMsix);
  bench_.AutoMask();
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

}  // namespace
}  // namespace bulkhead::nic_model::i82576
