// What the data path of the 82576 has of its own: its descriptors and its rules
// for a queue. nic_model/intel/transmit_test.cc and receive_test.cc have the
// rest.
#include <utility>

#include "gtest/gtest.h"
#include "nic_model/82576/test_bench.h"
#include "nic_model/frames/checksum.h"

namespace bulkhead::nic_model::i82576 {
namespace {

constexpr uint64_t kSend = kTxEop | kTxRs;

// A queue has two contexts; each frame says which one is its own.
TEST(Transmit, ContextsInsertChecksums) {
  for (const uint64_t index : {uint64_t{0}, kTxIndex}) {
    TestBench bench;
    bench.BringUp();
    const Frame frame = UdpFrame();
    bench.QueueDescriptor(14 << 9 | 20,
                          kTxDext | kTxTypeContext | kTxL4tUdp | index);
    // The other one must not be taken.
    bench.QueueDescriptor(
        1 << 9 | 1, kTxDext | kTxTypeContext | kTxL4tTcp | (index ^ kTxIndex));
    bench.QueueTx(std::span(frame).first(20), kTxIxsm | kTxTxsm | index);
    bench.QueueTx(std::span(frame).subspan(20), kSend);
    bench.RingTx();
    ASSERT_EQ(bench.network.sent.size(), 1u);
    const RxChecksum sums = CheckFrame(bench.network.sent[0]);
    EXPECT_TRUE(sums.ip_checked && sums.ip_good);
    EXPECT_TRUE(sums.l4_checked && sums.l4_is_udp && sums.l4_good);
  }
}

// A context that points beyond the frame inserts nothing, and harms nothing.
TEST(Transmit, S7_ContextsThatLie) {
  TestBench bench;
  bench.BringUp();
  const Frame frame = UdpFrame();
  const uint64_t lies[] = {127 << 9 | 511, 14 << 9 | 34, 49 << 9, 0};
  for (const uint64_t lengths : lies) {
    bench.QueueDescriptor(lengths, kTxDext | kTxTypeContext | kTxL4tTcp);
    bench.QueueTx(frame, kSend | kTxIxsm | kTxTxsm);
    bench.RingTx();
  }
  EXPECT_EQ(bench.network.sent.size(), std::size(lies));
}

// What is not modelled is malformed: no frame leaves half done.
TEST(Transmit, OtherDescriptorsAreBad) {
  TestBench bench;
  bench.BringUp();
  bench.QueueDescriptor(TestBench::kBuffers, kSend | 64);  // Legacy.
  bench.QueueDescriptor(TestBench::kBuffers, kSend | kTxDext | 64);
  bench.RingTx();
  EXPECT_TRUE(bench.network.sent.empty());
  EXPECT_EQ(bench.counters.tx_bad, 2u);
  EXPECT_EQ(bench.Read(kTdh), 2u);
}

TEST(Transmit, AQueueThatIsOffSendsWhenItIsTurnedOn) {
  TestBench bench;
  bench.BringUp();
  bench.Write(kTxdctl, 0);
  bench.QueueTx(TestFrame(64), kSend);
  bench.RingTx();
  EXPECT_TRUE(bench.network.sent.empty());
  bench.Write(kTxdctl, kQueueEnable);
  EXPECT_EQ(bench.network.sent.size(), 1u);
}

TEST(Receive, AdvancedDescriptor) {
  TestBench bench;
  bench.BringUp();
  bench.PostRx(4);
  bench.nic->Receive(TestFrame(200));
  bench.nic->EndReceive();
  EXPECT_EQ(bench.RxStatus(0) & 0xffffffff, kRxDd | kRxEop);
  EXPECT_EQ(bench.RxLength(0), 200u);
  EXPECT_TRUE(bench.Read(kIcr) & kIcrRxdw);
}

TEST(Receive, SaysWhetherTheChecksumIsRight) {
  TestBench bench;
  bench.BringUp();
  bench.PostRx(4);
  Frame frame = UdpFrame();
  InsertChecksum(frame, 14, 33, 24);
  InsertChecksum(frame, 34, 49, 40);
  bench.nic->Receive(frame);
  frame[45] ^= 1;
  bench.nic->Receive(frame);
  bench.Write(kRxcsum, 0);
  bench.nic->Receive(frame);
  constexpr uint32_t kChecked = kRxDd | kRxEop | kRxIpcs | kRxL4cs | kRxUdpcs;
  EXPECT_EQ(bench.RxStatus(0) & 0xffffffff, kChecked);
  EXPECT_EQ(bench.RxStatus(1) & 0xffffffff, kChecked | kRxErrorL4e);
  EXPECT_EQ(bench.RxStatus(2) & 0xffffffff, kRxDd | kRxEop);
}

TEST(Receive, BuffersBelowOneKibAreThoseOfRctl) {
  TestBench bench;
  bench.BringUp();
  bench.Write(kSrrctl, kSrrctlTypeOneBuffer);
  bench.Write(kRctl, kRctlEn | kRctlUpe | kRctlSecrc | 3 << 16);
  bench.PostRx(4);
  bench.nic->Receive(TestFrame(600));
  EXPECT_EQ(bench.Read(kRdh), 3u);
  EXPECT_EQ(bench.RxStatus(0) >> 32, 256u);
  EXPECT_EQ(bench.RxStatus(2) >> 32, 88u);
}

TEST(Receive, DropEnableMissesAtOnce) {
  TestBench bench;
  bench.BringUp(0, kSrrctlDropEn);
  bench.nic->Receive(TestFrame(64));
  EXPECT_EQ(bench.counters.rx_missed, 1u);
  EXPECT_EQ(bench.Read(kRqdpc), 1u);
  EXPECT_EQ(bench.Read(kRqdpc), 0u);
}

TEST(Receive, LongFramesAreLimitedByRlpml) {
  TestBench bench;
  bench.BringUp(kRctlLpe);
  bench.PostRx(15);
  bench.Write(kRlpml, 4004);
  bench.nic->Receive(TestFrame(4000));
  EXPECT_EQ(bench.counters.rx_frames, 1u);
  bench.nic->Receive(TestFrame(4001));
  EXPECT_EQ(bench.counters.rx_oversize, 1u);
}

// Other descriptor types are not modelled, and a queue that is off takes
// nothing: frames wait, and nothing is written.
TEST(Receive, AQueueThatIsOffTakesNothing) {
  for (const auto& [offset, value] :
       {std::pair<uint32_t, uint32_t>{kRxdctl, 0}, {kSrrctl, 2}}) {
    TestBench bench;
    bench.BringUp();
    bench.PostRx(4);
    bench.Write(offset, value);
    bench.nic->Receive(TestFrame(64));
    EXPECT_EQ(bench.counters.rx_frames, 0u);
    EXPECT_EQ(bench.Read(kRdh), 0u);
  }
}

}  // namespace
}  // namespace bulkhead::nic_model::i82576
