// Shows that the device does what Virtio 1.2 asks of one, and that a driver
// which breaks the specification harms nobody but itself: rings are hostile
// input (S7).
#include "nic_model/virtio_net/device.h"

#include <cstring>

#include "gtest/gtest.h"
#include "nic_model/frames/checksum.h"
#include "nic_model/virtio_net/test_bench.h"

namespace bulkhead::nic_model::virtio_net {
namespace {

constexpr uint64_t kPlain = TestBench::kPlain;
constexpr size_t kHeader = sizeof(NetHeader);

uint64_t RxSum(const PortCounters& c) {
  return c.rx_frames + c.rx_missed + c.rx_disabled + c.rx_filtered +
         c.rx_oversize;
}

// A header and a frame as two descriptors.
void QueueTx(TestBench& bench, const NetHeader& header, const Frame& frame) {
  std::memcpy(&bench.At<uint8_t>(TestBench::Buffer(0)), &header, kHeader);
  std::memcpy(&bench.At<uint8_t>(TestBench::Buffer(1)), frame.data(),
              frame.size());
  bench.Describe(kTxQueue, 0, TestBench::Buffer(0), kHeader, kNext, 1);
  bench.Describe(kTxQueue, 1, TestBench::Buffer(1),
                 static_cast<uint32_t>(frame.size()), 0);
  bench.MakeAvailable(kTxQueue, 0);
  bench.Kick(kTxQueue);
}

// 2.2.2 and 3.1.1: what the device does not offer, or cannot do without, it
// does not accept.
TEST(Negotiation, AcceptsOnlyWhatMakesSense) {
  const struct {
    const char* what;
    uint64_t features;
    bool accepted;
  } kCases[] = {
      {"plain", kPlain, true},
      {"everything", kOffered, true},
      {"legacy", kPlain & ~kVersion1, false},
      {"round the IOMMU", kPlain & ~kAccessPlatform, false},
      {"never offered", kPlain | Feature(37), false},
      {"modes without a queue", kPlain & ~kCtrlVq, false},
      {"segments without checksums", kPlain | kHostTso4, false},
      {"pairs without a queue", (kPlain | kMq) & ~(kCtrlVq | kCtrlRx), false},
      {"statistics without a queue",
       (kPlain | kDeviceStats) & ~(kCtrlVq | kCtrlRx), false},
  };
  for (const auto& c : kCases) {
    TestBench bench;
    EXPECT_EQ(bench.Negotiate(c.features), c.accepted) << c.what;
  }
}

TEST(Negotiation, FeaturesAreFixedOnceAccepted) {
  TestBench bench;
  ASSERT_TRUE(bench.Negotiate(kPlain));
  bench.Write(kDriverFeatureSelect, 4, 0);
  bench.Write(kDriverFeature, 4, 0);
  EXPECT_EQ(bench.Read(kDriverFeature, 4), static_cast<uint32_t>(kPlain));
}

// 4.1.4.3.2: a queue in no place, or of an odd size, stays off.
TEST(Queues, MisplacedOnesStayOff) {
  TestBench bench;
  ASSERT_TRUE(bench.Negotiate(kPlain));
  const auto enabled = [&] { return bench.Read(kQueueEnable, 2) == 1; };
  bench.Write(kQueueSelect, 2, 0);
  bench.Write(kQueueEnable, 2, 1);
  EXPECT_FALSE(enabled()) << "no addresses";
  bench.PlaceQueue(0, 12);
  EXPECT_FALSE(enabled()) << "no power of two";
  bench.PlaceQueue(0, 16);
  EXPECT_TRUE(enabled());
  bench.Write(kQueueSize, 2, 8);
  EXPECT_EQ(bench.Read(kQueueSize, 2), 16u) << "enabled: not to be changed";
  bench.Write(kQueueSelect, 2, kQueues);
  EXPECT_EQ(bench.Read(kQueueSize, 2), 0u) << "there is no such queue";
}

TEST(Reset, LeavesNothingOfTheDriverBefore) {
  TestBench bench;
  bench.BringUp();
  bench.PostRx(0);
  bench.Write(kDeviceStatus, 1, 0);
  EXPECT_EQ(bench.Status(), 0);
  bench.Receive(TestFrame(60));
  EXPECT_EQ(bench.counters.rx_disabled, 1u);
  EXPECT_EQ(bench.UsedIndex(kRxQueue), 0);
  EXPECT_EQ(bench.counters.resets, 1u);
}

TEST(Transmit, SendsAFrameOfTwoDescriptors) {
  TestBench bench;
  bench.BringUp();
  QueueTx(bench, {}, TestFrame(100, 3));
  ASSERT_EQ(bench.network.sent.size(), 1u);
  EXPECT_EQ(bench.network.sent[0], TestFrame(100, 3));
  EXPECT_EQ(bench.UsedIndex(kTxQueue), 1);
  EXPECT_EQ(bench.UsedBytes(kTxQueue, 0), 0u);
}

TEST(Transmit, InsertsTheChecksumItIsAskedFor) {
  TestBench bench;
  bench.BringUp(kPlain | kCsum);
  NetHeader header;
  header.flags = kNeedsCsum;
  header.csum_start = 34;
  header.csum_offset = 6;
  QueueTx(bench, header, TestFrame(100, 3));
  ASSERT_EQ(bench.network.sent.size(), 1u);
  EXPECT_EQ(OnesSum(std::span(bench.network.sent[0]).subspan(34),
                    // What the field held is in the sum once.
                    0x0303),
            0xffff);
}

// A busy network holds the frame; a chain is given back when it was sent.
TEST(Transmit, WaitsForABusyNetwork) {
  TestBench bench;
  bench.BringUp();
  bench.network.answer = SendResult::kBusy;
  QueueTx(bench, {}, TestFrame(100));
  EXPECT_EQ(bench.UsedIndex(kTxQueue), 0);
  bench.network.answer = SendResult::kSent;
  bench.nic->ResumeSend();
  EXPECT_EQ(bench.UsedIndex(kTxQueue), 1);
  EXPECT_EQ(bench.network.sent.size(), 1u);
}

// 5.1.6.2.1 and .2: requests that nobody negotiated, frames that are none.
TEST(Transmit, S8_BadFramesAreCountedAndGivenBack) {
  TestBench bench;
  bench.BringUp();
  NetHeader header;
  header.flags = kNeedsCsum;
  QueueTx(bench, header, TestFrame(100));
  header = {};
  header.gso_type = 1;
  QueueTx(bench, header, TestFrame(100));
  QueueTx(bench, {}, Frame(13));
  bench.Describe(kTxQueue, 0, 0x1234, 100, 0);  // Outside the DMA map.
  bench.MakeAvailable(kTxQueue, 0);
  bench.Kick(kTxQueue);
  EXPECT_EQ(bench.counters.tx_bad, 4u);
  EXPECT_EQ(bench.UsedIndex(kTxQueue), 4);
  EXPECT_EQ(bench.counters.dma_faults, 1u);
  EXPECT_EQ(bench.Status() & kNeedsReset, 0) << "the ring itself is good";
}

// A TCP packet of `payload` bytes for the NIC to cut up, with the lengths of
// one packet and their sum in the pseudo header's, and its header.
constexpr uint16_t kMss = 1000;
struct Packet {
  NetHeader header;
  Frame frame;
};
Packet TcpPacket(bool ipv6, size_t payload) {
  const size_t tcp = ipv6 ? 54 : 34;
  Packet packet;
  packet.header = {.flags = kNeedsCsum,
                   .gso_type = ipv6 ? kGsoTcpv6 : kGsoTcpv4,
                   .hdr_len = static_cast<uint16_t>(tcp + 20),
                   .gso_size = kMss,
                   .csum_start = static_cast<uint16_t>(tcp),
                   .csum_offset = 16};
  Frame& frame = packet.frame;
  frame = TestFrame(tcp + 20 + payload, 0);
  const auto put = [&frame](size_t at, size_t value) {
    frame[at] = static_cast<uint8_t>(value >> 8);
    frame[at + 1] = static_cast<uint8_t>(value);
  };
  put(12, ipv6 ? 0x86dd : 0x0800);
  frame[14] = ipv6 ? 0x60 : 0x45;
  put(ipv6 ? 18 : 16, frame.size() - (ipv6 ? 54 : 14));
  frame[ipv6 ? 20 : 23] = 6;
  frame[ipv6 ? 22 : 26] = 10;  // An address.
  frame[tcp + 12] = 0x50;
  frame[tcp + 13] = 0x19;  // FIN, PSH, ACK.
  const auto addresses =
      std::span(frame).subspan(ipv6 ? 22 : 26, ipv6 ? 32 : 8);
  put(tcp + 16,
      OnesSum(addresses, 6 + static_cast<uint32_t>(frame.size() - tcp)));
  for (size_t i = 0; i < payload; ++i) {
    frame[tcp + 20 + i] = static_cast<uint8_t>(i ^ i >> 8);
  }
  return packet;
}

// 5.1.6.2: one packet becomes frames whose lengths, sums and flags are their
// own, also when the network is busy in the middle of it.
TEST(Transmit, S8_SegmentsTcp) {
  constexpr size_t kPayload = 1500;
  for (const bool ipv6 : {false, true}) {
    TestBench bench;
    bench.BringUp(kPlain | kCsum | kHostTso4 | kHostTso6);
    const Packet packet = TcpPacket(ipv6, kPayload);
    bench.network.busy_after = 1;
    QueueTx(bench, packet.header, packet.frame);
    EXPECT_EQ(bench.UsedIndex(kTxQueue), 0);
    bench.network.busy_after = SIZE_MAX;
    bench.nic->ResumeSend();
    EXPECT_EQ(bench.UsedIndex(kTxQueue), 1);
    ASSERT_EQ(bench.network.sent.size(), 2u);
    const size_t headers = packet.header.hdr_len;
    for (size_t i = 0; i < 2; ++i) {
      const Frame& frame = bench.network.sent[i];
      const RxChecksum sums = CheckFrame(frame);
      EXPECT_TRUE(sums.l4_checked && sums.l4_good) << ipv6 << i;
      EXPECT_EQ(sums.ip_good, !ipv6);
      EXPECT_EQ(frame.size(), headers + (i == 0 ? kMss : kPayload - kMss));
      EXPECT_EQ(frame[headers - 7], i == 0 ? 0x10 : 0x19) << "flags";
      EXPECT_EQ(frame[headers - 14] << 8 | frame[headers - 13],
                static_cast<int>(i * kMss));
      EXPECT_TRUE(std::equal(frame.begin() + headers, frame.end(),
                             packet.frame.begin() + headers + i * kMss));
    }
    EXPECT_EQ(bench.counters.tx_frames, 2u);
    EXPECT_EQ(bench.counters.tx_bad, 0u);
  }
}

// What is not the packet that its header says, or was not negotiated, is
// counted, given back, and not sent.
TEST(Transmit, S7_S8_BadSegmentsAreCountedAndGivenBack) {
  const struct {
    const char* what;
    void (*spoil)(Packet& packet);
  } kCases[] = {
      {"no checksum", [](Packet& p) { p.header.flags = 0; }},
      {"another field", [](Packet& p) { p.header.csum_offset = 6; }},
      {"no size", [](Packet& p) { p.header.gso_size = 0; }},
      {"longer than a frame", [](Packet& p) { p.header.gso_size = 65535; }},
      {"the other kind", [](Packet& p) { p.header.gso_type = kGsoTcpv6; }},
      {"no kind", [](Packet& p) { p.header.gso_type = 3; }},
      {"TCP elsewhere", [](Packet& p) { p.header.csum_start = 36; }},
      {"TCP outside", [](Packet& p) { p.header.csum_start = 65535; }},
      {"no length", [](Packet& p) { p.frame[16] = p.frame[17] = 0; }},
      {"short TCP", [](Packet& p) { p.frame[46] = 0x40; }},
      {"TCP to the end", [](Packet& p) { p.frame.resize(54); }},
      {"UDP", [](Packet& p) { p.frame[23] = 17; }},
  };
  for (const auto& c : kCases) {
    TestBench bench;
    bench.BringUp(kPlain | kCsum | kHostTso4 | kHostTso6);
    Packet packet = TcpPacket(false, 1500);
    c.spoil(packet);
    QueueTx(bench, packet.header, packet.frame);
    EXPECT_EQ(bench.counters.tx_bad, 1u) << c.what;
    EXPECT_EQ(bench.UsedIndex(kTxQueue), 1) << c.what;
    EXPECT_TRUE(bench.network.sent.empty()) << c.what;
  }
  TestBench bench;
  bench.BringUp(kPlain | kCsum | kHostTso6);
  const Packet packet = TcpPacket(false, 1500);
  QueueTx(bench, packet.header, packet.frame);
  EXPECT_EQ(bench.counters.tx_bad, 1u) << "not negotiated";
}

TEST(Receive, WritesHeaderAndFrame) {
  TestBench bench;
  bench.BringUp();
  bench.PostRx(0);
  bench.Receive(TestFrame(300, 5));
  EXPECT_EQ(bench.UsedIndex(kRxQueue), 1);
  EXPECT_EQ(bench.UsedBytes(kRxQueue, 0), kHeader + 300);
  EXPECT_EQ(bench.At<NetHeader>(TestBench::Buffer(0)).num_buffers, 1);
  EXPECT_EQ(bench.Bytes(TestBench::Buffer(0) + kHeader, 300),
            TestFrame(300, 5));
}

// 5.1.6.3.1: one frame in as many buffers as it needs, counted in the first.
TEST(Receive, MergesBuffers) {
  TestBench bench;
  bench.BringUp(kPlain | kMrgRxbuf);
  for (uint16_t i = 0; i < 4; ++i) bench.PostRx(i, 512);
  const Frame frame = TestFrame(1200, 7);
  bench.Receive(frame);
  EXPECT_EQ(bench.UsedIndex(kRxQueue), 3);
  EXPECT_EQ(bench.At<NetHeader>(TestBench::Buffer(0)).num_buffers, 3);
  EXPECT_EQ(bench.UsedBytes(kRxQueue, 1), 512u);
  Frame got = bench.Bytes(TestBench::Buffer(0) + kHeader, 500);
  for (uint16_t i = 1; i < 3; ++i) {
    const Frame more = bench.Bytes(TestBench::Buffer(i), i == 1 ? 512 : 188);
    got.insert(got.end(), more.begin(), more.end());
  }
  EXPECT_EQ(got, frame);
  // One buffer is left: too little for the next, which waits for more.
  bench.Receive(frame);
  EXPECT_EQ(bench.UsedIndex(kRxQueue), 3);
  for (uint16_t i = 4; i < 6; ++i) bench.PostRx(i, 512);
  bench.Kick(kRxQueue);
  EXPECT_EQ(bench.UsedIndex(kRxQueue), 6);
}

// Without buffers frames wait in the FIFO, then they are missed, and the
// statistics of Virtio 1.4 say so.
TEST(Receive, S8_WhatFindsNoBufferIsMissed) {
  TestBench bench;
  bench.BringUp(kPlain | kDeviceStats);
  for (int i = 0; i < 40; ++i) bench.Receive(TestFrame(1500));
  EXPECT_GT(bench.counters.rx_missed, 20u);
  for (uint16_t i = 0; i < 15; ++i) bench.PostRx(i);
  bench.Kick(kRxQueue);
  EXPECT_EQ(RxSum(bench.counters), bench.counters.rx_offered);
  EXPECT_EQ(bench.counters.rx_frames + bench.counters.rx_missed, 40u);
}

TEST(Control, FiltersAsItIsTold) {
  TestBench bench;
  bench.BringUp();
  Frame foreign = TestFrame(60);
  foreign[5] ^= 1;
  Frame group = TestFrame(60);
  const uint8_t address[] = {1, 0, 0x5e, 0, 0, 1};
  std::memcpy(group.data(), address, 6);
  const uint8_t off = 0, on = 1;
  EXPECT_EQ(bench.Command(kClassRx, kRxPromisc, {&off, 1}), kOk);
  bench.Receive(foreign);
  bench.Receive(group);
  EXPECT_EQ(bench.counters.rx_filtered, 2u);
  EXPECT_EQ(bench.Command(kClassRx, kRxAllmulti, {&on, 1}), kOk);
  bench.Receive(group);
  EXPECT_EQ(bench.counters.rx_filtered, 2u);
  EXPECT_EQ(bench.Command(kClassRx, kRxAllmulti, {&off, 1}), kOk);
  const uint8_t table[] = {0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0x5e, 0, 0, 1};
  EXPECT_EQ(bench.Command(kClassMac, kMacTableSet, table), kOk);
  bench.Receive(group);
  EXPECT_EQ(bench.counters.rx_filtered, 2u);
}

// ---- Several queue pairs (5.1.6.5.6.1).

constexpr uint64_t kSeveral = kPlain | kMq;

uint8_t SetPairs(TestBench& bench, uint16_t pairs) {
  const uint8_t data[] = {static_cast<uint8_t>(pairs),
                          static_cast<uint8_t>(pairs >> 8)};
  return bench.Command(kClassMq, kVqPairsSet, data);
}

// A TCP frame of a flow, from us or to us.
Frame FlowFrame(uint8_t flow, bool to_nic) {
  Frame frame = TestFrame(64);
  if (!to_nic) std::swap_ranges(&frame[0], &frame[6], &frame[6]);
  const uint8_t header[] = {0x08, 0x00, 0x45, 0, 0, 50, 0, 0, 0, 0, 64, 6};
  std::copy(std::begin(header), std::end(header), &frame[12]);
  const uint8_t us[] = {10, 0, 0, 1}, them[] = {10, 0, 0, 2};
  std::copy(std::begin(us), std::end(us), &frame[to_nic ? 30 : 26]);
  std::copy(std::begin(them), std::end(them), &frame[to_nic ? 26 : 30]);
  frame[to_nic ? 37 : 35] = 80;    // Our port,
  frame[to_nic ? 35 : 37] = flow;  // and theirs.
  return frame;
}

void SendOn(TestBench& bench, uint16_t pair, const Frame& frame) {
  const auto queue = static_cast<uint16_t>(TxQueueOf(pair));
  const auto first =
      static_cast<uint16_t>(bench.UsedIndex(queue) * 2 % TestBench::kSize);
  bench.At<NetHeader>(TestBench::Buffer(200)) = {};
  std::memcpy(&bench.At<uint8_t>(TestBench::Buffer(201)), frame.data(),
              frame.size());
  bench.Describe(queue, first, TestBench::Buffer(200), kHeader, kNext,
                 static_cast<uint16_t>(first + 1));
  bench.Describe(queue, static_cast<uint16_t>(first + 1),
                 TestBench::Buffer(201), static_cast<uint32_t>(frame.size()),
                 0);
  bench.MakeAvailable(queue, first);
  bench.Kick(queue);
}

// The queues of a driver that negotiated more pairs; one that did not has but
// three.
TEST(Pairs, AreThereOnceNegotiated) {
  for (const bool several : {false, true}) {
    TestBench bench;
    ASSERT_TRUE(bench.Negotiate(several ? kSeveral : kPlain));
    EXPECT_EQ(bench.Read(kDeviceOffset + kConfigMaxPairs, 2), kMaxPairs);
    const auto size_of = [&bench](uint32_t index) {
      bench.Write(kQueueSelect, 2, index);
      return bench.Read(kQueueSize, 2);
    };
    EXPECT_EQ(size_of(1), kMaxQueueSize);
    EXPECT_EQ(size_of(2), several ? kMaxQueueSize : kControlQueueSize);
    EXPECT_EQ(size_of(15), several ? kMaxQueueSize : 0u);
    EXPECT_EQ(size_of(16), several ? kControlQueueSize : 0u);
    EXPECT_EQ(size_of(17), 0u);
  }
}

TEST(Pairs, S7_AreSetWithinWhatIsThere) {
  TestBench bench;
  bench.BringUp(kSeveral, 3);
  EXPECT_EQ(SetPairs(bench, 0), kError);
  EXPECT_EQ(SetPairs(bench, kMaxPairs + 1), kError);
  EXPECT_EQ(SetPairs(bench, 0x8000), kError);
  EXPECT_EQ(SetPairs(bench, 4), kError) << "its queues are off";
  EXPECT_EQ(bench.Command(kClassMq, kVqPairsSet, {}), kError);
  EXPECT_EQ(SetPairs(bench, 3), kOk);
  EXPECT_EQ(SetPairs(bench, 1), kOk);
  TestBench single;
  single.BringUp();
  EXPECT_EQ(SetPairs(single, 1), kError) << "not negotiated";
}

// A flow comes to where the driver last sent a frame of it; others are spread.
TEST(Pairs, S8_FlowsFollowTheDriver) {
  TestBench bench;
  bench.BringUp(kSeveral, 2);
  for (uint16_t i = 0; i < 15; ++i) {
    bench.PostRx(i, TestBench::kBufferBytes, RxQueueOf(0));
    bench.PostRx(static_cast<uint16_t>(16 + i), TestBench::kBufferBytes,
                 RxQueueOf(1));
  }
  const auto came = [&bench](uint16_t pair) {
    return bench.UsedIndex(static_cast<uint16_t>(RxQueueOf(pair)));
  };
  bench.Receive(FlowFrame(1, true));
  EXPECT_EQ(came(0), 1) << "one pair until more are set";
  SendOn(bench, 1, FlowFrame(1, false));
  EXPECT_TRUE(bench.network.sent.empty()) << "that pair is off";
  ASSERT_EQ(SetPairs(bench, 2), kOk);
  bench.Kick(TxQueueOf(1));
  ASSERT_EQ(bench.network.sent.size(), 1u);
  bench.Receive(FlowFrame(1, true));
  EXPECT_EQ(came(1), 1);
  SendOn(bench, 0, FlowFrame(1, false));
  bench.Receive(FlowFrame(1, true));
  EXPECT_EQ(came(0), 2);
  for (uint8_t flow = 10; flow < 20; ++flow) {
    bench.Receive(FlowFrame(flow, true));
  }
  EXPECT_GT(came(0), 2);
  EXPECT_GT(came(1), 1);
  EXPECT_EQ(came(0) + came(1), 13);
  const int first = came(0);
  bench.Receive(TestFrame(60));
  EXPECT_EQ(came(0), first + 1) << "no flow: the first";
  // The second is off again, and a reset leaves one.
  ASSERT_EQ(SetPairs(bench, 1), kOk);
  bench.Receive(FlowFrame(11, true));
  EXPECT_EQ(came(0) + came(1), 15);
  EXPECT_EQ(RxSum(bench.counters), bench.counters.rx_offered);
}

// Of each receive queue, as many as are asked for in one command.
TEST(Pairs, S8_StatisticsAreOfEachQueue) {
  TestBench bench;
  bench.BringUp(kSeveral | kDeviceStats, 2);
  ASSERT_EQ(SetPairs(bench, 2), kOk);
  SendOn(bench, 1, FlowFrame(1, false));
  for (int i = 0; i < 1000; ++i) bench.Receive(FlowFrame(1, true));
  EXPECT_GT(bench.counters.rx_missed, 0u);
  std::vector<uint8_t> ask(32);
  ask[16] = RxQueueOf(1);
  ask[8] = ask[24] = kStatsRxBasic;
  std::vector<uint8_t> reply = bench.Ask(kClassStats, kStatsGet, ask, 2 * 56);
  EXPECT_EQ(reply.back(), kOk);
  const auto drops = [&reply](size_t queue) {
    uint64_t value;
    std::memcpy(&value, &reply[queue * 56 + 8 + 4 * 8], 8);
    return value;
  };
  EXPECT_EQ(drops(0), 0u);
  EXPECT_EQ(drops(1), bench.counters.rx_missed);
  ask[16] = RxQueueOf(kMaxPairs);
  EXPECT_EQ(bench.Ask(kClassStats, kStatsGet, ask, 2 * 56).back(), kError);
  ask[16] = TxQueueOf(0);
  EXPECT_EQ(bench.Ask(kClassStats, kStatsGet, ask, 2 * 56).back(), kError);
}

TEST(Control, S7_NonsenseIsRefused) {
  TestBench bench;
  bench.BringUp();
  const uint8_t two = 2;
  const uint8_t huge[] = {0xff, 0xff, 0xff, 0xff};
  const uint8_t short_table[] = {0, 0, 0, 0, 2, 0, 0, 0, 1, 2, 3, 4, 5, 6};
  const uint8_t offloads[8] = {2};
  EXPECT_EQ(bench.Command(kClassRx, kRxPromisc, {&two, 1}), kError);
  EXPECT_EQ(bench.Command(kClassRx, 99, {&two, 1}), kError);
  EXPECT_EQ(bench.Command(99, 0, {}), kError);
  EXPECT_EQ(bench.Command(kClassMac, kMacTableSet, huge), kError);
  EXPECT_EQ(bench.Command(kClassMac, kMacTableSet, short_table), kError);
  EXPECT_EQ(bench.Command(kClassGuestOffloads, 0, offloads), kError)
      << "not negotiated";
  EXPECT_EQ(bench.Status() & kNeedsReset, 0);
}

// 2.6.1: a queue is reset alone; the other one goes on.
TEST(RingReset, LeavesTheOtherQueueAlone) {
  TestBench bench;
  bench.BringUp(kPlain | kRingReset);
  bench.PostRx(0);
  bench.Write(kQueueSelect, 2, kRxQueue);
  bench.Write(kQueueReset, 2, 1);
  EXPECT_EQ(bench.Read(kQueueReset, 2), 0u);
  EXPECT_EQ(bench.Read(kQueueEnable, 2), 0u);
  bench.Receive(TestFrame(60));
  EXPECT_EQ(bench.UsedIndex(kRxQueue), 0);
  QueueTx(bench, {}, TestFrame(100));
  EXPECT_EQ(bench.network.sent.size(), 1u);
  bench.At<uint16_t>(TestBench::Avail(kRxQueue) + 2) = 0;
  bench.PlaceQueue(kRxQueue);
  bench.PostRx(1);
  bench.Kick(kRxQueue);
  EXPECT_EQ(bench.counters.rx_frames, 1u) << "it waited in the FIFO";
}

// Rings that make no sense stop the device, in bounded time, until its reset.
TEST(Rings, S7_HostileOnesNeedAReset) {
  const struct {
    const char* what;
    void (*spoil)(TestBench& bench);
  } kCases[] = {
      {"a chain that loops",
       [](TestBench& b) {
         b.Describe(kTxQueue, 0, TestBench::Buffer(0), 10, kNext, 1);
         b.Describe(kTxQueue, 1, TestBench::Buffer(1), 10, kNext, 0);
         b.MakeAvailable(kTxQueue, 0);
       }},
      {"a head outside of the ring",
       [](TestBench& b) { b.MakeAvailable(kTxQueue, TestBench::kSize); }},
      {"a next outside of the ring",
       [](TestBench& b) {
         b.Describe(kTxQueue, 0, TestBench::Buffer(0), 10, kNext, 999);
         b.MakeAvailable(kTxQueue, 0);
       }},
      {"an index that jumps",
       [](TestBench& b) {
         b.At<uint16_t>(TestBench::Avail(kTxQueue) + 2) = 1000;
       }},
      {"what is read after what is written",
       [](TestBench& b) {
         b.Describe(kTxQueue, 0, TestBench::Buffer(0), 10, kWrite | kNext, 1);
         b.Describe(kTxQueue, 1, TestBench::Buffer(1), 10, 0);
         b.MakeAvailable(kTxQueue, 0);
       }},
      {"a table that nobody negotiated",
       [](TestBench& b) {
         b.Describe(kTxQueue, 0, TestBench::Buffer(0), 32, kIndirect);
         b.MakeAvailable(kTxQueue, 0);
       }},
      {"a ring that is unmapped",
       [](TestBench& b) {
         ASSERT_EQ(b.nic->UnmapDma(TestBench::kIova, TestBench::kMemoryBytes),
                   0);
       }},
  };
  for (const auto& c : kCases) {
    TestBench bench;
    bench.BringUp();
    c.spoil(bench);
    bench.Kick(kTxQueue);
    EXPECT_NE(bench.Status() & kNeedsReset, 0) << c.what;
    EXPECT_TRUE(bench.network.sent.empty()) << c.what;
    bench.Receive(TestFrame(60));
    bench.Write(kDeviceStatus, 1, 0);
    EXPECT_EQ(bench.Status(), 0) << c.what;
  }
}

TEST(Rings, TakesIndirectTables) {
  TestBench bench;
  bench.BringUp(kPlain | kIndirectDesc);
  const Frame frame = TestFrame(100, 4);
  std::memcpy(&bench.At<uint8_t>(TestBench::Buffer(2) + 64), frame.data(), 100);
  const uint64_t table = TestBench::Buffer(5);
  bench.At<uint64_t>(table) = TestBench::Buffer(1);
  bench.At<uint64_t>(table + 8) =
      kHeader | uint64_t{kNext} << 32 | uint64_t{1} << 48;
  bench.At<uint64_t>(table + 16) = TestBench::Buffer(2) + 64;
  bench.At<uint64_t>(table + 24) = 100;
  bench.Describe(kTxQueue, 0, table, 32, kIndirect);
  bench.MakeAvailable(kTxQueue, 0);
  bench.Kick(kTxQueue);
  ASSERT_EQ(bench.network.sent.size(), 1u);
  EXPECT_EQ(bench.network.sent[0], frame);
}

// S3 and S4: without bus mastering the device leaves memory alone.
TEST(Rings, S4_NothingWithoutBusMastering) {
  TestBench bench;
  bench.BringUp();
  bench.PostRx(0);
  bench.SetBusMaster(false);
  QueueTx(bench, {}, TestFrame(100));
  bench.Receive(TestFrame(60));
  EXPECT_TRUE(bench.network.sent.empty());
  EXPECT_EQ(bench.UsedIndex(kRxQueue), 0);
  EXPECT_EQ(bench.counters.dma_faults, 0u);
}

}  // namespace
}  // namespace bulkhead::nic_model::virtio_net
