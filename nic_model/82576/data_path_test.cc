// Frames through real descriptor rings in shared memory, both ways, with every
// counter watched: what the host asked for is what the network sees, and what
// cannot be delivered is counted once.
#include <cstring>

#include "gtest/gtest.h"
#include "nic_model/82576/test_bench.h"
#include "nic_model/frames/checksum.h"

namespace bulkhead::nic_model::i82576 {
namespace {

constexpr uint64_t kSend = kTxEop | kTxRs;
// A data descriptor that sends what it describes.
constexpr uint64_t kSendData = kSend | kTxDext | kTxTypeData;
constexpr uint64_t kDd = kTxDd;

uint64_t RxSum(const PortCounters& c) {
  return c.rx_frames + c.rx_missed + c.rx_disabled + c.rx_filtered +
         c.rx_oversize;
}

TEST(Transmit, DataDescriptorSendsAndReports) {
  TestBench bench;
  bench.BringUp();
  bench.QueueTx(TestFrame(100), kSend);
  bench.RingTx();
  ASSERT_EQ(bench.network.sent.size(), 1u);
  EXPECT_EQ(bench.network.sent[0], TestFrame(100));
  EXPECT_TRUE(bench.TxStatus(0) & kDd);
  EXPECT_EQ(bench.Read(kTdh), 1u);
  EXPECT_EQ(bench.counters.tx_frames, 1u);
  EXPECT_EQ(bench.counters.tx_bytes, 100u);
  EXPECT_EQ(bench.Read(kGptc), 1u);
  EXPECT_EQ(bench.Read(kGptc), 0u) << "statistics clear when they are read";
  EXPECT_TRUE(bench.Read(kIcr) & kIcrTxdw);
}

TEST(Transmit, DoorbellInSharedMemorySends) {
  TestBench bench;
  bench.BringUp();
  bench.QueueTx(TestFrame(64), kSend);
  const auto offers = bench.nic->Doorbells(0);
  ASSERT_EQ(offers.size(), 8u) << "both tails of four queues";
  ASSERT_EQ(offers[0].offset, kTdt);
  auto shadow =
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
  EXPECT_EQ(bench.Read(kTdt), 3u);
}

TEST(Transmit, FrameOfSeveralDescriptorsAcrossDoorbells) {
  TestBench bench;
  bench.BringUp();
  const Frame frame = TestFrame(300);
  bench.QueueTx(std::span(frame).first(100), 0);
  bench.RingTx();
  EXPECT_TRUE(bench.network.sent.empty());
  EXPECT_EQ(bench.Read(kTdh), 1u);
  bench.QueueTx(std::span(frame).subspan(100), kSend);
  bench.RingTx();
  ASSERT_EQ(bench.network.sent.size(), 1u);
  EXPECT_EQ(bench.network.sent[0], frame);
  EXPECT_FALSE(bench.TxStatus(0) & kDd) << "no RS, no report";
}

TEST(Transmit, ShortFrameIsPadded) {
  TestBench bench;
  bench.BringUp();
  bench.QueueTx(TestFrame(20), kSend);
  bench.RingTx();
  ASSERT_EQ(bench.network.sent.size(), 1u);
  EXPECT_EQ(bench.network.sent[0].size(), kMinFrameBytes);
}

// Ethernet, IPv4 without options, UDP, 8 bytes of payload; the UDP checksum
// field holds the pseudo header's sum, as software leaves it.
Frame UdpFrame() {
  Frame frame = TestFrame(14 + 20 + 8 + 8);
  const uint8_t ip[] = {0x45, 0, 0,  36, 0, 1, 0,  0, 64, 17,
                        0,    0, 10, 0,  0, 1, 10, 0, 0,  2};
  frame[12] = 0x08;
  frame[13] = 0x00;
  std::memcpy(frame.data() + 14, ip, sizeof(ip));
  const uint8_t udp[] = {0, 1, 0, 2, 0, 16, 0, 0};
  std::memcpy(frame.data() + 34, udp, sizeof(udp));
  const uint16_t pseudo = OnesSum(std::span(ip).subspan(12), 17 + 16);
  frame[40] = static_cast<uint8_t>(pseudo >> 8);
  frame[41] = static_cast<uint8_t>(pseudo);
  return frame;
}

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

// Ethernet, IPv4, TCP and `payload` numbered bytes, as a host leaves it that
// wants it cut up.
Frame TcpFrame(size_t payload) {
  Frame frame = TestFrame(54 + payload);
  const uint8_t ip[] = {0x45, 0, 0,  0, 0xff, 0xfe, 0,  0, 64, 6,
                        0,    0, 10, 0, 0,    1,    10, 0, 0,  2};
  frame[12] = 0x08;
  frame[13] = 0x00;
  std::memcpy(frame.data() + 14, ip, sizeof(ip));
  const uint8_t tcp[] = {0, 1, 0,    2,    0, 0, 0xff, 0xf0, 0, 0,
                         0, 0, 0x50, 0x19, 0, 0, 0,    0,    0, 0};
  std::memcpy(frame.data() + 34, tcp, sizeof(tcp));
  const uint16_t pseudo = OnesSum(std::span(ip).subspan(12), 6);
  frame[50] = static_cast<uint8_t>(pseudo >> 8);
  frame[51] = static_cast<uint8_t>(pseudo);
  for (size_t i = 0; i < payload; ++i) frame[54 + i] = static_cast<uint8_t>(i);
  return frame;
}

void QueueTcp(TestBench& bench, const Frame& frame, uint64_t segment_bytes) {
  bench.QueueDescriptor(14 << 9 | 20, kTxDext | kTxTypeContext | kTxL4tTcp |
                                          kTxIpv4 | uint64_t{20} << 40 |
                                          segment_bytes << 48);
  bench.QueueTx(frame, kSend | kTxTse | kTxTxsm | kTxIxsm |
                           uint64_t{frame.size() - 54} << 46);
}

TEST(Transmit, SegmentsTcp) {
  TestBench bench;
  bench.BringUp();
  const Frame frame = TcpFrame(1000);
  QueueTcp(bench, frame, 400);
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

TEST(Transmit, BusyNetworkKeepsTheRestOfTheSegments) {
  TestBench bench;
  bench.BringUp();
  bench.network.answer = SendResult::kBusy;
  QueueTcp(bench, TcpFrame(1000), 400);
  bench.RingTx();
  EXPECT_EQ(bench.Read(kTdh), 1u);
  bench.network.answer = SendResult::kSent;
  bench.nic->ResumeSend();
  EXPECT_EQ(bench.network.sent.size(), 3u);
  EXPECT_EQ(bench.Read(kTdh), 2u);
}

TEST(Transmit, S7_SegmentsThatMakeNoSenseAreCounted) {
  TestBench bench;
  bench.BringUp();
  Frame version = TcpFrame(100);
  version[14] = 0x65;
  QueueTcp(bench, TcpFrame(100), 0);
  QueueTcp(bench, version, 50);
  QueueTcp(bench, TestFrame(60), 50);
  bench.RingTx();
  EXPECT_TRUE(bench.network.sent.empty());
  EXPECT_EQ(bench.counters.tx_bad, 3u);
}

TEST(Transmit, BusyNetworkKeepsTheFrame) {
  TestBench bench;
  bench.BringUp();
  bench.network.answer = SendResult::kBusy;
  bench.QueueTx(TestFrame(64, 1), kSend);
  bench.QueueTx(TestFrame(64, 2), kSend);
  bench.RingTx();
  EXPECT_EQ(bench.Read(kTdh), 0u);
  EXPECT_FALSE(bench.TxStatus(0) & kDd);
  bench.network.answer = SendResult::kSent;
  bench.nic->ResumeSend();
  ASSERT_EQ(bench.network.sent.size(), 2u);
  EXPECT_EQ(bench.network.sent[0], TestFrame(64, 1));
  EXPECT_EQ(bench.Read(kTdh), 2u);
}

TEST(Transmit, S3_DescriptorOutsideTheMapIsCountedAndSkipped) {
  TestBench bench;
  bench.BringUp();
  bench.QueueDescriptor(0xdead0000, kSendData | 64);
  bench.QueueDescriptor(TestBench::kIova + TestBench::kMemoryBytes - 8,
                        kSendData | 64);
  bench.QueueDescriptor(TestBench::kBuffers, kSendData | 0xffff);
  bench.QueueTx(TestFrame(64), kSend);
  bench.RingTx();
  EXPECT_EQ(bench.network.sent.size(), 1u);
  EXPECT_EQ(bench.counters.dma_faults, 2u);
  EXPECT_EQ(bench.counters.tx_bad, 3u);
}

TEST(Transmit, HostileRingRegistersDoNothing) {
  TestBench bench;
  bench.BringUp();
  const struct {
    uint32_t tdlen, tdh, tdt;
  } kCases[] = {{0, 0, 1},        {256, 0, 16},    {256, 16, 0},
                {256, 0, 0xffff}, {128, 0xfff, 1}, {0xfffff, 0xffff, 0xffff}};
  for (const auto& c : kCases) {
    bench.Write(kTdlen, c.tdlen);
    bench.Write(kTdh, c.tdh);
    bench.Write(kTdt, c.tdt);
    EXPECT_TRUE(bench.network.sent.empty());
  }
  EXPECT_EQ(bench.counters.tx_bad, 0u);
}

TEST(Transmit, S8_EveryFrameIsInOneCounter) {
  TestBench bench;
  bench.BringUp();
  bench.QueueTx(TestFrame(64), kSend);
  bench.RingTx();
  bench.network.answer = SendResult::kDropped;
  bench.QueueTx(TestFrame(64), kSend);
  bench.RingTx();
  bench.QueueDescriptor(1, kSendData | 64);  // Outside the map.
  bench.RingTx();
  bench.Write(kCtrl, kCtrlFd);  // Link down.
  bench.QueueTx(TestFrame(64), kSend);
  bench.RingTx();
  EXPECT_EQ(bench.counters.tx_frames, 1u);
  EXPECT_EQ(bench.counters.network_dropped, 2u);
  EXPECT_EQ(bench.counters.tx_bad, 1u);
}

TEST(Receive, AdvancedDescriptor) {
  TestBench bench;
  bench.BringUp();
  bench.PostRx(4);
  bench.nic->Receive(TestFrame(200));
  bench.nic->EndReceive();
  EXPECT_EQ(bench.Bytes(bench.RxBuffer(0), 200), TestFrame(200));
  const uint64_t status = bench.RxStatus(0);
  EXPECT_EQ(status & 0xffffffff, kRxDd | kRxEop);
  EXPECT_EQ(status >> 32 & 0xffff, 200u);
  EXPECT_EQ(bench.Read(kRdh), 1u);
  EXPECT_TRUE(bench.Read(kIcr) & kIcrRxdw);
  EXPECT_EQ(bench.Read(kGprc), 1u);
  EXPECT_EQ(bench.Read(kGorcl), 204u);
  EXPECT_EQ(bench.counters.rx_frames, 1u);
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

TEST(Receive, FcsIsWrittenWithoutSecrc) {
  TestBench bench;
  bench.BringUp();
  bench.Write(kRctl, kRctlEn | kRctlUpe);
  bench.PostRx(2);
  bench.nic->Receive(TestFrame(60));
  EXPECT_EQ(bench.RxStatus(0) >> 32, 64u);
  Frame with_fcs = bench.Bytes(bench.RxBuffer(0), 64);
  // A CRC over a frame and its own CRC always leaves this residue.
  EXPECT_EQ(FrameCheckSequence(with_fcs), 0x2144df1cu);
}

TEST(Receive, LongFrameSpansBuffers) {
  TestBench bench;
  bench.BringUp(kRctlLpe);
  bench.PostRx(8);
  const Frame frame = TestFrame(5000);
  bench.nic->Receive(frame);
  EXPECT_EQ(bench.Read(kRdh), 3u);
  Frame got = bench.Bytes(bench.RxBuffer(0), 2048);
  const Frame second = bench.Bytes(bench.RxBuffer(1), 2048);
  const Frame third = bench.Bytes(bench.RxBuffer(2), 5000 - 4096);
  got.insert(got.end(), second.begin(), second.end());
  got.insert(got.end(), third.begin(), third.end());
  EXPECT_EQ(got, frame);
  EXPECT_FALSE(bench.RxStatus(1) & kRxEop);
  EXPECT_TRUE(bench.RxStatus(2) & kRxEop);
}

TEST(Receive, PacketBufferHoldsFramesUntilDescriptorsCome) {
  TestBench bench;
  bench.BringUp();
  for (uint8_t i = 0; i < 3; ++i) bench.nic->Receive(TestFrame(64, i));
  EXPECT_EQ(bench.counters.rx_missed, 0u);
  EXPECT_EQ(bench.counters.rx_frames, 0u);
  bench.PostRx(4);
  EXPECT_EQ(bench.counters.rx_frames, 3u);
  EXPECT_EQ(bench.Bytes(bench.RxBuffer(2), 64), TestFrame(64, 2));
}

TEST(Receive, Filter) {
  const Frame broadcast(64, 0xff);
  Frame multicast = TestFrame(64);
  multicast[0] = 0x01;
  Frame other = TestFrame(64);
  other[5] ^= 1;
  // MO 0: bits 47:36 of the address index the table.
  const uint32_t hash =
      ((multicast[4] | uint32_t{multicast[5]} << 8) >> 4) & 0xfff;
  const struct {
    const char* name;
    uint32_t rctl;
    bool in_table;
    Frame frame;
    bool passes;
  } kCases[] = {
      {"own address", 0, false, TestFrame(64), true},
      {"another address", 0, false, other, false},
      {"another address, promiscuous", kRctlUpe, false, other, true},
      {"broadcast", 0, false, broadcast, false},
      {"broadcast accepted", kRctlBam, false, broadcast, true},
      {"multicast", kRctlBam | kRctlUpe, false, multicast, false},
      {"multicast promiscuous", kRctlMpe, false, multicast, true},
      {"multicast in table", 0, true, multicast, true},
  };
  for (const auto& c : kCases) {
    TestBench bench;
    bench.BringUp();
    bench.Write(kRctl, kRctlEn | kRctlSecrc | c.rctl);
    if (c.in_table) bench.Write(kMta + 4 * (hash >> 5), 1u << (hash & 31));
    bench.PostRx(4);
    bench.nic->Receive(c.frame);
    EXPECT_EQ(bench.counters.rx_frames, c.passes ? 1u : 0u) << c.name;
    EXPECT_EQ(bench.counters.rx_filtered, c.passes ? 0u : 1u) << c.name;
  }
}

TEST(Receive, S8_EveryFrameIsInOneCounter) {
  TestBench bench;
  uint64_t offered = 0;
  const auto receive = [&](const Frame& frame) {
    bench.nic->Receive(frame);
    ++offered;
  };
  receive(TestFrame(64));  // Receiver off.
  bench.BringUp();
  receive(TestFrame(1600));  // No LPE.
  Frame multicast = TestFrame(64);
  multicast[0] = 1;
  receive(multicast);
  bench.PostRx(2);
  receive(TestFrame(64));
  receive(TestFrame(64));
  for (int i = 0; i < 1000; ++i) receive(TestFrame(64));  // Ring full.
  EXPECT_GT(bench.counters.rx_missed, 0u);
  EXPECT_EQ(bench.Read(kMpc), bench.counters.rx_missed);
  bench.Write(kCtrl, kCtrlRst);  // The packet buffer is emptied.
  EXPECT_EQ(bench.counters.rx_offered, offered);
  EXPECT_EQ(RxSum(bench.counters), offered);
}

TEST(Dma, S3_BusMasterOffTouchesNothing) {
  TestBench bench;
  bench.BringUp();
  bench.PostRx(4);
  bench.SetBusMaster(false);
  bench.nic->Receive(TestFrame(64));
  bench.QueueTx(TestFrame(64), kSend);
  bench.RingTx();
  EXPECT_EQ(bench.RxStatus(0), 0u);
  EXPECT_FALSE(bench.TxStatus(0) & kDd);
  EXPECT_TRUE(bench.network.sent.empty());
  EXPECT_EQ(bench.counters.dma_faults, 0u) << "it did not even try";
}

TEST(Dma, S4_NothingIsWrittenAfterUnmap) {
  TestBench bench;
  bench.BringUp();
  bench.PostRx(8);
  bench.nic->Receive(TestFrame(64));
  ASSERT_EQ(bench.nic->UnmapDma(TestBench::kIova, TestBench::kMemoryBytes), 0);
  bench.QueueTx(TestFrame(64), kSend);
  const Frame queued = bench.Bytes(TestBench::kIova, TestBench::kMemoryBytes);
  for (int i = 0; i < 4; ++i) bench.nic->Receive(TestFrame(64));
  bench.RingTx();
  EXPECT_EQ(bench.Bytes(TestBench::kIova, TestBench::kMemoryBytes), queued);
  EXPECT_GE(bench.counters.dma_faults, 5u);
  EXPECT_TRUE(bench.network.sent.empty());
}

TEST(Dma, S3_WritesStayOutOfReadOnlyMaps) {
  TestBench bench;
  bench.BringUp();
  ASSERT_EQ(bench.nic->UnmapDma(TestBench::kIova, TestBench::kMemoryBytes), 0);
  auto memory = *CreateSealedMemory("read only", kPageBytes);
  ASSERT_EQ(bench.nic->MapDma(TestBench::kRxRing, kPageBytes,
                              *ReopenReadOnly(memory.get()), 0, true, false),
            0);
  bench.PostRx(4);
  bench.nic->Receive(TestFrame(64));
  EXPECT_EQ(bench.counters.rx_frames, 0u);
  EXPECT_EQ(bench.counters.rx_missed, 1u);
  EXPECT_GE(bench.counters.dma_faults, 1u);
}

}  // namespace
}  // namespace bulkhead::nic_model::i82576
