// Which memory the NIC touches: what is mapped, as it is mapped, while it may.
#include "nic_model/intel/chips_under_test.h"
#include "nic_model/intel/registers.h"

namespace bulkhead::nic_model::intel {
namespace {

constexpr uint32_t kSend = kTxEop | kTxRs;

template <typename Chip>
class Dma : public ::testing::Test {};
TYPED_TEST_SUITE(Dma, Chips, ChipNames);

TYPED_TEST(Dma, S3_BusMasterOffTouchesNothing) {
  TypeParam bench;
  bench.BringUp();
  bench.PostRx(4);
  bench.SetBusMaster(false);
  bench.nic->Receive(TestFrame(64));
  bench.QueueTx(TestFrame(64), kSend);
  bench.RingTx();
  EXPECT_EQ(bench.RxStatus(0), 0u);
  EXPECT_FALSE(bench.TxStatus(0) & kTxDd);
  EXPECT_TRUE(bench.network.sent.empty());
  EXPECT_EQ(bench.counters.dma_faults, 0u) << "it did not even try";
}

TYPED_TEST(Dma, S4_NothingIsWrittenAfterUnmap) {
  TypeParam bench;
  bench.BringUp();
  bench.PostRx(8);
  bench.nic->Receive(TestFrame(64));
  ASSERT_EQ(
      bench.nic->UnmapDma(TestBenchBase::kIova, TestBenchBase::kMemoryBytes),
      0);
  bench.QueueTx(TestFrame(64), kSend);
  const Frame queued =
      bench.Bytes(TestBenchBase::kIova, TestBenchBase::kMemoryBytes);
  for (int i = 0; i < 4; ++i) bench.nic->Receive(TestFrame(64));
  bench.RingTx();
  EXPECT_EQ(bench.Bytes(TestBenchBase::kIova, TestBenchBase::kMemoryBytes),
            queued);
  EXPECT_GE(bench.counters.dma_faults, 5u);
  EXPECT_TRUE(bench.network.sent.empty());
}

TYPED_TEST(Dma, S3_WritesStayOutOfReadOnlyMaps) {
  TypeParam bench;
  bench.BringUp();
  ASSERT_EQ(
      bench.nic->UnmapDma(TestBenchBase::kIova, TestBenchBase::kMemoryBytes),
      0);
  auto memory = *CreateSealedMemory("read only", kPageBytes);
  ASSERT_EQ(bench.nic->MapDma(TestBenchBase::kRxRing, kPageBytes,
                              *ReopenReadOnly(memory.get()), 0, true, false),
            0);
  bench.PostRx(4);
  bench.nic->Receive(TestFrame(64));
  EXPECT_EQ(bench.counters.rx_frames, 0u);
  EXPECT_EQ(bench.counters.rx_missed, 1u);
  EXPECT_GE(bench.counters.dma_faults, 1u);
}

}  // namespace
}  // namespace bulkhead::nic_model::intel
