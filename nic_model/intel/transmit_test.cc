// Frames of the host through real descriptor rings in shared memory, with every
// counter watched: what the host asked for is what the network sees, and what
// cannot be sent is counted once.
#include <unistd.h>

#include <algorithm>

#include "nic_model/frames/checksum.h"
#include "nic_model/intel/chips_under_test.h"
#include "nic_model/intel/registers.h"

namespace bulkhead::nic_model::intel {
namespace {

constexpr uint32_t kSend = kTxEop | kTxRs;

template <typename Chip>
class Transmit : public ::testing::Test {};
TYPED_TEST_SUITE(Transmit, Chips, ChipNames);

TYPED_TEST(Transmit, SendsAndReports) {
  TypeParam bench;
  bench.BringUp();
  bench.QueueTx(TestFrame(100), kSend);
  bench.RingTx();
  ASSERT_EQ(bench.network.sent.size(), 1u);
  EXPECT_EQ(bench.network.sent[0], TestFrame(100));
  EXPECT_TRUE(bench.TxStatus(0) & kTxDd);
  EXPECT_EQ(bench.Read(bench.at.tdh), 1u);
  EXPECT_EQ(bench.counters.tx_frames, 1u);
  EXPECT_EQ(bench.counters.tx_bytes, 100u);
  EXPECT_EQ(bench.Read(kGptc), 1u);
  EXPECT_EQ(bench.Read(kGptc), 0u) << "statistics clear when they are read";
  EXPECT_TRUE(bench.Read(bench.at.icr) & kIcrTxdw);
}

TYPED_TEST(Transmit, DoorbellInSharedMemorySends) {
  TypeParam bench;
  bench.BringUp();
  bench.QueueTx(TestFrame(64), kSend);
  const auto offers = bench.nic->Doorbells(0);
  ASSERT_EQ(offers.size(), bench.at.doorbells);
  ASSERT_EQ(offers[0].offset, bench.at.tdt);
  const Mapping shadow =
      *Mapping::MapSealed(offers[0].shadow_fd, kPageBytes, Access::kReadWrite);
  // Three rings: each must be seen, though the eventfd is never read.
  for (uint32_t tail = 1; tail <= 3; ++tail) {
    if (tail > 1) bench.QueueTx(TestFrame(64), kSend);
    *shadow.As<uint32_t>(offers[0].shadow_offset) = tail;
    const uint64_t one = 1;
    ASSERT_EQ(::write(offers[0].event_fd, &one, sizeof(one)), 8);
    bench.loop->RunOnce(1000);
    EXPECT_EQ(bench.network.sent.size(), tail);
  }
  EXPECT_EQ(bench.Read(bench.at.tdt), 3u);
}

TYPED_TEST(Transmit, FrameOfSeveralDescriptorsAcrossDoorbells) {
  TypeParam bench;
  bench.BringUp();
  const Frame frame = TestFrame(300);
  bench.QueueTx(std::span(frame).first(100), 0);
  bench.RingTx();
  EXPECT_TRUE(bench.network.sent.empty());
  EXPECT_EQ(bench.Read(bench.at.tdh), 1u);
  bench.QueueTx(std::span(frame).subspan(100), kSend);
  bench.RingTx();
  ASSERT_EQ(bench.network.sent.size(), 1u);
  EXPECT_EQ(bench.network.sent[0], frame);
  EXPECT_FALSE(bench.TxStatus(0) & kTxDd) << "no RS, no report";
}

TYPED_TEST(Transmit, ShortFrameIsPadded) {
  TypeParam bench;
  bench.BringUp();
  bench.QueueTx(TestFrame(20), kSend);
  bench.RingTx();
  ASSERT_EQ(bench.network.sent.size(), 1u);
  EXPECT_EQ(bench.network.sent[0].size(), kMinFrameBytes);
}

TYPED_TEST(Transmit, SegmentsTcp) {
  TypeParam bench;
  bench.BringUp();
  const Frame frame = TcpFrame(1000);
  bench.QueueTcp(frame, 400);
  bench.RingTx();
  ASSERT_EQ(bench.network.sent.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    const Frame& sent = bench.network.sent[i];
    const size_t payload = i < 2 ? 400 : 200;
    ASSERT_EQ(sent.size(), 54 + payload);
    const RxChecksum sums = CheckFrame(sent);
    EXPECT_TRUE(sums.ip_checked && sums.ip_good) << i;
    EXPECT_TRUE(sums.l4_checked && !sums.l4_is_udp && sums.l4_good) << i;
    EXPECT_EQ(sent[18] << 8 | sent[19], (0xfffe + i) & 0xffff);
    const uint32_t sequence = static_cast<uint32_t>(
        sent[38] << 24 | sent[39] << 16 | sent[40] << 8 | sent[41]);
    EXPECT_EQ(sequence, 0xfff0 + 400 * i);
    EXPECT_EQ(sent[47], i == 2 ? 0x19 : 0x10) << "FIN and PSH at the end";
    EXPECT_TRUE(std::equal(sent.begin() + 54, sent.end(),
                           frame.begin() + 54 + 400 * i));
  }
  EXPECT_EQ(bench.counters.tx_frames, 3u);
}

TYPED_TEST(Transmit, BusyNetworkKeepsTheRestOfTheSegments) {
  TypeParam bench;
  bench.BringUp();
  bench.network.answer = SendResult::kBusy;
  bench.QueueTcp(TcpFrame(1000), 400);
  bench.RingTx();
  EXPECT_EQ(bench.Read(bench.at.tdh), 1u);
  bench.network.answer = SendResult::kSent;
  bench.nic->ResumeSend();
  EXPECT_EQ(bench.network.sent.size(), 3u);
  EXPECT_EQ(bench.Read(bench.at.tdh), 2u);
}

TYPED_TEST(Transmit, S7_SegmentsThatMakeNoSenseAreCounted) {
  TypeParam bench;
  bench.BringUp();
  Frame version = TcpFrame(100);
  version[14] = 0x65;
  bench.QueueTcp(TcpFrame(100), 0);
  bench.QueueTcp(version, 50);
  bench.QueueTcp(TestFrame(60), 50);
  bench.RingTx();
  EXPECT_TRUE(bench.network.sent.empty());
  EXPECT_EQ(bench.counters.tx_bad, 3u);
}

TYPED_TEST(Transmit, BusyNetworkKeepsTheFrame) {
  TypeParam bench;
  bench.BringUp();
  bench.network.answer = SendResult::kBusy;
  bench.QueueTx(TestFrame(64, 1), kSend);
  bench.QueueTx(TestFrame(64, 2), kSend);
  bench.RingTx();
  EXPECT_EQ(bench.Read(bench.at.tdh), 0u);
  EXPECT_FALSE(bench.TxStatus(0) & kTxDd);
  bench.network.answer = SendResult::kSent;
  bench.nic->ResumeSend();
  ASSERT_EQ(bench.network.sent.size(), 2u);
  EXPECT_EQ(bench.network.sent[0], TestFrame(64, 1));
  EXPECT_EQ(bench.Read(bench.at.tdh), 2u);
}

TYPED_TEST(Transmit, S3_DescriptorOutsideTheMapIsCountedAndSkipped) {
  TypeParam bench;
  bench.BringUp();
  bench.QueueDescriptor(0xdead0000, TypeParam::kPlain | kSend | 64);
  bench.QueueDescriptor(TestBenchBase::kIova + TestBenchBase::kMemoryBytes - 8,
                        TypeParam::kPlain | kSend | 64);
  bench.QueueDescriptor(TestBenchBase::kBuffers,
                        TypeParam::kPlain | kSend | 0xffff);
  bench.QueueTx(TestFrame(64), kSend);
  bench.RingTx();
  EXPECT_EQ(bench.network.sent.size(), 1u);
  EXPECT_EQ(bench.counters.dma_faults, 2u);
  EXPECT_EQ(bench.counters.tx_bad, 3u);
}

TYPED_TEST(Transmit, HostileRingRegistersDoNothing) {
  TypeParam bench;
  bench.BringUp();
  const struct {
    uint32_t tdlen, tdh, tdt;
  } kCases[] = {{0, 0, 1},        {256, 0, 16},    {256, 16, 0},
                {256, 0, 0xffff}, {128, 0xfff, 1}, {0xfffff, 0xffff, 0xffff}};
  for (const auto& c : kCases) {
    bench.Write(bench.at.tdlen, c.tdlen);
    bench.Write(bench.at.tdh, c.tdh);
    bench.Write(bench.at.tdt, c.tdt);
    EXPECT_TRUE(bench.network.sent.empty());
  }
  EXPECT_EQ(bench.counters.tx_bad, 0u);
}

TYPED_TEST(Transmit, S8_EveryFrameIsInOneCounter) {
  TypeParam bench;
  bench.BringUp();
  bench.QueueTx(TestFrame(64), kSend);
  bench.RingTx();
  bench.network.answer = SendResult::kDropped;
  bench.QueueTx(TestFrame(64), kSend);
  bench.RingTx();
  bench.QueueDescriptor(1, TypeParam::kPlain | kSend | 64);  // Outside the map.
  bench.RingTx();
  bench.Write(kCtrl, kCtrlFd);  // Link down.
  bench.QueueTx(TestFrame(64), kSend);
  bench.RingTx();
  EXPECT_EQ(bench.counters.tx_frames, 1u);
  EXPECT_EQ(bench.counters.network_dropped, 2u);
  EXPECT_EQ(bench.counters.tx_bad, 1u);
}

}  // namespace
}  // namespace bulkhead::nic_model::intel
