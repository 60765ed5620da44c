// Each test fault makes the NIC misbehave as its name says, and no worse.
#include <cerrno>

#include "nic_model/intel/chips_under_test.h"
#include "nic_model/intel/registers.h"

namespace bulkhead::nic_model::intel {
namespace {

template <typename Chip>
class FaultsTest : public ::testing::Test {};
TYPED_TEST_SUITE(FaultsTest, Chips, ChipNames);

TYPED_TEST(FaultsTest, AllOnesReadsAsRemoved) {
  Faults faults;
  faults.all_ones = true;
  TypeParam bench(faults);
  EXPECT_EQ(bench.Read(kStatus), ~0u);
  EXPECT_EQ(bench.ReadConfig(0), ~0u);
}

TYPED_TEST(FaultsTest, ResetNeverEnds) {
  Faults faults;
  faults.reset_never_ends = true;
  TypeParam bench(faults);
  bench.Write(kCtrl, kCtrlRst);
  EXPECT_TRUE(bench.Read(kCtrl) & kCtrlRst);
}

TYPED_TEST(FaultsTest, S3_StrayDmaReachesNothing) {
  Faults faults;
  faults.stray_dma = true;
  TypeParam bench(faults);
  bench.BringUp();
  bench.PostRx(4);
  bench.nic->Receive(TestFrame(64));
  EXPECT_EQ(bench.counters.dma_faults, 1u);
  EXPECT_EQ(bench.counters.rx_frames, 1u) << "the frame itself arrives";
}

TYPED_TEST(FaultsTest, AbsurdBarCannotBeReached) {
  Faults faults;
  faults.absurd_bar = true;
  TypeParam bench(faults);
  EXPECT_EQ(bench.nic->Region(0).bytes, uint64_t{1} << 62);
  uint8_t word[4];
  EXPECT_EQ(bench.nic->ReadRegion(0, kBar0Bytes, word), EINVAL);
  EXPECT_EQ(bench.nic->WriteRegion(0, uint64_t{1} << 40, word), EINVAL);
}

TYPED_TEST(FaultsTest, IdentityChanges) {
  Faults faults;
  faults.identity_change = true;
  TypeParam bench(faults);
  const uint32_t before = bench.Read(kRah0);
  bench.Write(kCtrl, kCtrlRst);
  EXPECT_NE(bench.Read(kRah0), before);
}

TYPED_TEST(FaultsTest, CapabilitiesLoop) {
  Faults faults;
  faults.looping_capabilities = true;
  TypeParam bench(faults);
  uint32_t at = bench.ReadConfig(0x34) & 0xff;
  for (int i = 0; i < 100; ++i) at = bench.ReadConfig(at) >> 8 & 0xff;
  EXPECT_NE(at, 0u);
}

TYPED_TEST(FaultsTest, CompletionsComeTwice) {
  Faults faults;
  faults.complete_twice = true;
  TypeParam bench(faults);
  bench.BringUp();
  bench.PostRx(4);
  bench.nic->Receive(TestFrame(64));
  bench.Quad(TestBenchBase::kRxRing + 8) = 0;  // Taken by the driver.
  bench.nic->Receive(TestFrame(64));
  EXPECT_TRUE(bench.RxBits(0) & kRxDd);
}

TYPED_TEST(FaultsTest, DescriptorsThatLie) {
  Faults faults;
  faults.length_beyond_buffer = true;
  TypeParam lies(faults);
  lies.BringUp();
  lies.PostRx(4);
  lies.nic->Receive(TestFrame(64));
  EXPECT_GT(lies.RxLength(0), TestBenchBase::kBufferBytes);

  faults = {};
  faults.never_complete = true;
  TypeParam silent(faults);
  silent.BringUp();
  silent.PostRx(4);
  silent.nic->Receive(TestFrame(64));
  silent.QueueTx(TestFrame(64), kTxEop | kTxRs);
  silent.RingTx();
  EXPECT_EQ(silent.RxStatus(0), 0u);
  EXPECT_FALSE(silent.TxStatus(0) & kTxDd);
  EXPECT_EQ(silent.Read(silent.at.tdh), 1u);

  faults = {};
  faults.corrupt_payload = true;
  TypeParam corrupt(faults);
  corrupt.BringUp();
  corrupt.PostRx(4);
  corrupt.nic->Receive(TestFrame(64));
  EXPECT_NE(corrupt.Bytes(corrupt.RxBuffer(0), 64), TestFrame(64));
}

}  // namespace
}  // namespace bulkhead::nic_model::intel
