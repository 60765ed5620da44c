// Frames of the network into real descriptor rings in shared memory, with every
// counter watched: what arrived is what the host finds, and what cannot be
// delivered is counted once.
#include "nic_model/frames/checksum.h"
#include "nic_model/intel/chips_under_test.h"
#include "nic_model/intel/registers.h"

namespace bulkhead::nic_model::intel {
namespace {

uint64_t RxSum(const PortCounters& c) {
  return c.rx_frames + c.rx_missed + c.rx_disabled + c.rx_filtered +
         c.rx_oversize;
}

template <typename Chip>
class Receive : public ::testing::Test {};
TYPED_TEST_SUITE(Receive, Chips, ChipNames);

TYPED_TEST(Receive, DeliversAndReports) {
  TypeParam bench;
  bench.BringUp();
  bench.PostRx(4);
  bench.nic->Receive(TestFrame(200));
  bench.nic->EndReceive();
  EXPECT_EQ(bench.Bytes(bench.RxBuffer(0), 200), TestFrame(200));
  EXPECT_EQ(bench.RxLength(0), 200u);
  EXPECT_EQ(bench.RxBits(0) & (kRxDd | kRxEop), kRxDd | kRxEop);
  EXPECT_EQ(bench.Read(bench.at.rdh), 1u);
  EXPECT_EQ(bench.Read(kGprc), 1u);
  EXPECT_EQ(bench.Read(kGorcl), 204u);
  EXPECT_EQ(bench.counters.rx_frames, 1u);
}

TYPED_TEST(Receive, FcsIsWrittenWithoutSecrc) {
  TypeParam bench;
  bench.BringUp();
  bench.Write(kRctl, kRctlEn | kRctlUpe);
  bench.PostRx(2);
  bench.nic->Receive(TestFrame(60));
  EXPECT_EQ(bench.RxLength(0), 64u);
  Frame with_fcs = bench.Bytes(bench.RxBuffer(0), 64);
  // A CRC over a frame and its own CRC always leaves this residue.
  EXPECT_EQ(FrameCheckSequence(with_fcs), 0x2144df1cu);
}

TYPED_TEST(Receive, LongFrameSpansBuffers) {
  TypeParam bench;
  bench.BringUp(kRctlLpe);
  bench.PostRx(8);
  const Frame frame = TestFrame(5000);
  bench.nic->Receive(frame);
  EXPECT_EQ(bench.Read(bench.at.rdh), 3u);
  Frame got = bench.Bytes(bench.RxBuffer(0), 2048);
  const Frame second = bench.Bytes(bench.RxBuffer(1), 2048);
  const Frame third = bench.Bytes(bench.RxBuffer(2), 5000 - 4096);
  got.insert(got.end(), second.begin(), second.end());
  got.insert(got.end(), third.begin(), third.end());
  EXPECT_EQ(got, frame);
  EXPECT_FALSE(bench.RxBits(1) & kRxEop);
  EXPECT_TRUE(bench.RxBits(2) & kRxEop);
}

TYPED_TEST(Receive, PacketBufferHoldsFramesUntilDescriptorsCome) {
  TypeParam bench;
  bench.BringUp();
  for (uint8_t i = 0; i < 3; ++i) bench.nic->Receive(TestFrame(64, i));
  EXPECT_EQ(bench.counters.rx_missed, 0u);
  EXPECT_EQ(bench.counters.rx_frames, 0u);
  bench.PostRx(4);
  EXPECT_EQ(bench.counters.rx_frames, 3u);
  EXPECT_EQ(bench.Bytes(bench.RxBuffer(2), 64), TestFrame(64, 2));
}

TYPED_TEST(Receive, Filter) {
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
    TypeParam bench;
    bench.BringUp();
    bench.Write(kRctl, kRctlEn | kRctlSecrc | c.rctl);
    if (c.in_table) bench.Write(kMta + 4 * (hash >> 5), 1u << (hash & 31));
    bench.PostRx(4);
    bench.nic->Receive(c.frame);
    EXPECT_EQ(bench.counters.rx_frames, c.passes ? 1u : 0u) << c.name;
    EXPECT_EQ(bench.counters.rx_filtered, c.passes ? 0u : 1u) << c.name;
  }
}

TYPED_TEST(Receive, S8_EveryFrameIsInOneCounter) {
  TypeParam bench;
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

}  // namespace
}  // namespace bulkhead::nic_model::intel
