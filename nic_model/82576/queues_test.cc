// Shows that the model's sixteen queues are apart: RSS chooses among them as
// Microsoft's verification suite says, each has its own ring, vector and rule
// for a full ring, and frames of one flow keep their order.
#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <vector>

#include "nic_model/82576/registers.h"
#include "nic_model/82576/rss.h"
#include "nic_model/82576/test_bench.h"

namespace bulkhead::nic_model::i82576 {
namespace {

using intel::Frame;
using intel::TestFrame;

constexpr uint32_t kRssQueues = 4;
constexpr uint8_t kTcp = 6;
constexpr uint8_t kUdp = 17;

void Put16(Frame& frame, size_t at, uint32_t value) {
  frame[at] = static_cast<uint8_t>(value >> 8);
  frame[at + 1] = static_cast<uint8_t>(value);
}

// A frame for the bench of a flow; `number` is its last byte.
Frame Ipv4Frame(uint8_t protocol, std::array<uint8_t, 8> addresses,
                uint16_t source_port, uint16_t destination_port,
                uint8_t number = 0) {
  Frame frame = TestFrame(64);
  Put16(frame, 12, 0x0800);
  std::memset(&frame[14], 0, frame.size() - 14);
  frame[14] = 0x45;
  Put16(frame, 16, 50);
  frame[23] = protocol;
  std::memcpy(&frame[26], addresses.data(), addresses.size());
  Put16(frame, 34, source_port);
  Put16(frame, 36, destination_port);
  frame.back() = number;
  return frame;
}

Frame Ipv6Frame(uint8_t protocol, std::array<uint8_t, 32> addresses,
                uint16_t source_port, uint16_t destination_port) {
  Frame frame = TestFrame(80);
  Put16(frame, 12, 0x86dd);
  std::memset(&frame[14], 0, frame.size() - 14);
  frame[14] = 0x60;
  Put16(frame, 18, 26);
  frame[20] = protocol;
  std::memcpy(&frame[22], addresses.data(), addresses.size());
  Put16(frame, 54, source_port);
  Put16(frame, 56, destination_port);
  return frame;
}

constexpr std::array<uint8_t, 8> kFirst = {66, 9, 149, 187, 161, 142, 100, 80};
constexpr std::array<uint8_t, 8> kSecond = {199, 92, 111, 2, 65, 69, 140, 83};
constexpr std::array<uint8_t, 32> kSixth = {
    0x3f, 0xfe, 0x25, 0x01, 0x02, 0x00, 0x1f, 0xff, 0, 0, 0, 0, 0, 0, 0, 7,
    0x3f, 0xfe, 0x25, 0x01, 0x02, 0x00, 0x00, 0x03, 0, 0, 0, 0, 0, 0, 0, 1};

// The hashes are those that Microsoft publishes for its key; the RSS types
// those of datasheet 7.1.5.
TEST(Queues, HashAsPublished) {
  Frame fragment = Ipv4Frame(kTcp, kFirst, 2794, 1766);
  fragment[20] = 0x20;  // More fragments.
  const struct {
    const char* name;
    Frame frame;
    uint32_t type;
    uint32_t hash;
  } cases[] = {
      {"TCP", Ipv4Frame(kTcp, kFirst, 2794, 1766), 1, 0x51ccc178},
      {"TCP, another", Ipv4Frame(kTcp, kSecond, 14230, 4739), 1, 0xc626b0ea},
      {"UDP", Ipv4Frame(kUdp, kFirst, 2794, 1766), 7, 0x51ccc178},
      {"IP of another kind", Ipv4Frame(1, kFirst, 2794, 1766), 2, 0x323e8fc2},
      {"a fragment", fragment, 2, 0x323e8fc2},
      {"TCP over IPv6", Ipv6Frame(kTcp, kSixth, 2794, 1766), 3, 0x40207d3d},
      {"IPv6", Ipv6Frame(58, kSixth, 2794, 1766), 5, 0x2cc18cd5},
      {"not IP", TestFrame(64), 0, 0},
  };
  for (const auto& c : cases) {
    TestBench bench;
    bench.BringUp();
    bench.BringUpQueues(kRssQueues);
    for (uint32_t queue = 0; queue < kRssQueues; ++queue) {
      bench.PostRx(4, queue);
    }
    bench.nic->Receive(c.frame);
    const uint32_t queue = c.type == 0 ? 0 : c.hash % 128 % kRssQueues;
    EXPECT_TRUE(bench.RxStatus(0, queue) & kRxDd) << c.name;
    const uint64_t first = bench.Quad(TestBench::RxRing(queue));
    EXPECT_EQ(first & 0xf, c.type) << c.name;
    EXPECT_EQ(first >> 32, c.hash) << c.name;
  }
}

TEST(Queues, WithoutRssThereIsOne) {
  TestBench bench;
  bench.BringUp();
  bench.BringUpQueues(kRssQueues);
  bench.Write(kMrqc, 0);
  bench.PostRx(8);
  for (uint16_t port = 0; port < 8; ++port) {
    bench.nic->Receive(Ipv4Frame(kUdp, kFirst, port, 9));
  }
  EXPECT_EQ(bench.Read(kRdh), 8u);
}

// Flows spread over all queues; each stays on one, in order.
TEST(Queues, FlowsSpreadAndKeepTheirOrder) {
  TestBench bench;
  bench.BringUp();
  bench.BringUpQueues(kRssQueues);
  constexpr uint8_t kFlows = 16, kFrames = 3;
  for (uint32_t queue = 0; queue < kRssQueues; ++queue) {
    bench.PostRx(TestBench::kRingCount - 1, queue);
  }
  for (uint8_t number = 0; number < kFrames; ++number) {
    for (uint8_t flow = 0; flow < kFlows; ++flow) {
      bench.nic->Receive(Ipv4Frame(kUdp, kFirst, flow, 9, number));
    }
  }
  std::vector<std::set<uint32_t>> queues_of(kFlows);
  std::vector<uint8_t> next(kFlows, 0);
  std::set<uint32_t> used;
  for (uint32_t queue = 0; queue < kRssQueues; ++queue) {
    const uint32_t count = bench.Read(OfQueue(queue, kRdh));
    for (uint32_t i = 0; i < count; ++i) {
      const Frame frame = bench.Bytes(bench.RxBuffer(i, queue), 64);
      const uint8_t flow = frame[35];
      queues_of.at(flow).insert(queue);
      EXPECT_EQ(frame.back(), next.at(flow)++) << "flow " << int{flow};
      used.insert(queue);
    }
  }
  EXPECT_EQ(used.size(), kRssQueues);
  for (uint8_t flow = 0; flow < kFlows; ++flow) {
    EXPECT_EQ(queues_of[flow].size(), 1u) << "flow " << int{flow};
    EXPECT_EQ(next[flow], kFrames) << "flow " << int{flow};
  }
}

// The packet buffer keeps its order: a queue without buffers holds up what
// comes behind its frame, unless it drops.
TEST(Queues, AFullRingHoldsUpOthersUnlessItDrops) {
  const Frame to_0 = TestFrame(64);
  const Frame to_other = Ipv4Frame(kTcp, kSecond, 14230, 4739);
  constexpr uint32_t kOther = 0xc626b0ea % 128 % kRssQueues;
  static_assert(kOther != 0);
  for (const bool drops : {false, true}) {
    TestBench bench;
    bench.BringUp();
    bench.BringUpQueues(kRssQueues, drops ? kSrrctlDropEn : 0);
    bench.PostRx(4);
    EXPECT_FALSE(bench.nic->CanReceive()) << "a flow could be missed";
    bench.nic->Receive(to_other);
    bench.nic->Receive(to_0);
    EXPECT_EQ((bench.RxStatus(0) & kRxDd) != 0, drops);
    EXPECT_EQ(bench.Read(OfQueue(kOther, kRqdpc)), drops ? 1u : 0u);
    EXPECT_EQ(bench.counters.rx_missed, drops ? 1u : 0u);
    EXPECT_EQ(bench.Read(kMpc), 0u);
    for (uint32_t queue = 1; queue < kRssQueues; ++queue) {
      bench.PostRx(4, queue);
    }
    EXPECT_TRUE(bench.nic->CanReceive());
    EXPECT_TRUE(bench.RxStatus(0) & kRxDd);
    EXPECT_EQ((bench.RxStatus(0, kOther) & kRxDd) != 0, !drops);
  }
}

// A descriptor, a context and a half-assembled frame of one queue are not
// another's.
TEST(Queues, EachTransmitsItsOwn) {
  TestBench bench;
  bench.BringUp();
  bench.BringUpQueues(kRssQueues);
  bench.QueueTx(TestFrame(100, 1), 0, 1);  // Its end has not come.
  bench.RingTx(1);
  bench.QueueTx(TestFrame(64, 2), kTxEop | kTxRs, 2);
  bench.RingTx(2);
  ASSERT_EQ(bench.network.sent.size(), 1u);
  EXPECT_EQ(bench.network.sent[0], TestFrame(64, 2));
  EXPECT_TRUE(bench.TxStatus(0, 2) & kTxDd);
  bench.QueueTx(TestFrame(50, 1), kTxEop | kTxRs, 1);
  bench.RingTx(1);
  ASSERT_EQ(bench.network.sent.size(), 2u);
  EXPECT_EQ(bench.network.sent[1].size(), 150u);
}

// A busy network stops no queue for ever, and each goes on where it was.
TEST(Queues, AllGoOnAfterABusyNetwork) {
  TestBench bench;
  bench.BringUp();
  bench.BringUpQueues(kRssQueues);
  bench.network.answer = SendResult::kBusy;
  for (uint32_t queue = 0; queue < kRssQueues; ++queue) {
    bench.QueueTx(TestFrame(64, static_cast<uint8_t>(queue)), kTxEop | kTxRs,
                  queue);
    bench.RingTx(queue);
  }
  EXPECT_TRUE(bench.network.sent.empty());
  bench.network.answer = SendResult::kSent;
  bench.nic->ResumeSend();
  EXPECT_EQ(bench.network.sent.size(), size_t{kRssQueues});
}

// IVAR gives each queue its vector; another queue's traffic leaves it alone.
TEST(Queues, EachHasItsVector) {
  TestBench bench;
  bench.BringUp();
  bench.BringUpQueues(kRssQueues);
  bench.ArmMsix();
  bench.Write(kGpie, kGpieMultipleMsix | kGpieEiame);
  for (uint32_t queue = 0; queue < kRssQueues; ++queue) {
    const uint32_t entry = kIvarValid | (queue + 1);
    bench.Write(kIvar0 + 4 * queue, entry | entry << 8);
    bench.PostRx(4, queue);
  }
  bench.Write(kEiac, kEicrAll);
  bench.Write(kEiam, kEicrAll);
  bench.Write(kEims, kEicrAll);
  bench.nic->Receive(Ipv4Frame(kTcp, kSecond, 14230, 4739));
  bench.nic->EndReceive();
  constexpr uint32_t kReceives = 0xc626b0ea % 128 % kRssQueues;
  constexpr uint32_t kSends = (kReceives + 1) % kRssQueues;
  bench.QueueTx(TestFrame(64), kTxEop | kTxRs, kSends);
  bench.RingTx(kSends);
  for (uint32_t queue = 0; queue < kRssQueues; ++queue) {
    EXPECT_EQ(bench.Signals(queue + 1),
              queue == kReceives || queue == kSends ? 1u : 0u)
        << queue;
  }
}

// S4: nothing of any queue survives a reset.
TEST(Queues, S4_AResetStopsAll) {
  TestBench bench;
  bench.BringUp();
  bench.BringUpQueues(kRssQueues);
  bench.PostRx(4, 1);
  bench.QueueTx(TestFrame(64), 0, 1);
  bench.RingTx(1);
  bench.Write(kCtrl, kCtrlRst);
  for (uint32_t queue = 0; queue < kQueues; ++queue) {
    EXPECT_EQ(bench.Read(OfQueue(queue, kRdt)), 0u);
    EXPECT_EQ(bench.Read(OfQueue(queue, kTdh)), 0u);
    EXPECT_EQ((bench.Read(OfQueue(queue, kRxdctl)) & kQueueEnable) != 0,
              queue == 0);
  }
  EXPECT_EQ(bench.Read(kMrqc), 0u);
}

}  // namespace
}  // namespace bulkhead::nic_model::i82576
