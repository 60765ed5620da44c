// What the data path of the 82574 has of its own: its descriptors and its flow
// control. nic_model/intel/transmit_test.cc and receive_test.cc have the rest.
#include "gtest/gtest.h"
#include "nic_model/82574l/test_bench.h"
#include "nic_model/frames/checksum.h"

namespace bulkhead::nic_model::i82574 {
namespace {

TEST(Transmit, ContextDescriptorInsertsChecksums) {
  TestBench bench;
  bench.BringUp();
  const Frame frame = UdpFrame(/*behind=*/10);
  // Context: IPCSS 14, IPCSO 24, IPCSE 33, TUCSS 34, TUCSO 40, TUCSE 49.
  bench.QueueDescriptor(14 | 24 << 8 | 33 << 16 | uint64_t{34} << 32 |
                            uint64_t{40} << 40 | uint64_t{49} << 48,
                        kTxDext);
  const uint64_t popts = uint64_t{kTxPoptsIxsm | kTxPoptsTxsm} << 40;
  bench.QueueTx(frame, kTxEop | kTxRs | kTxDext | kTxTypeData);
  bench.Quad(TestBench::kTxRing + 16 + 8) |= popts;
  bench.RingTx();
  ASSERT_EQ(bench.network.sent.size(), 1u);
  const RxChecksum sums = CheckFrame(bench.network.sent[0]);
  EXPECT_TRUE(sums.ip_checked && sums.ip_good);
  EXPECT_TRUE(sums.l4_checked && sums.l4_is_udp && sums.l4_good);
}

TEST(Receive, LegacyDescriptor) {
  TestBench bench;
  bench.BringUp();
  bench.PostRx(4);
  bench.nic->Receive(TestFrame(200));
  bench.nic->EndReceive();
  EXPECT_EQ(bench.RxLength(0), 200u);
  EXPECT_EQ(bench.RxBits(0), kRxDd | kRxEop | kRxIxsm);
  EXPECT_TRUE(bench.Read(kIcr) & kIcrRxt0);
}

TEST(Receive, ExtendedDescriptor) {
  TestBench bench;
  bench.BringUp(0, kRfctlExsten);
  bench.PostRx(4);
  bench.nic->Receive(TestFrame(200));
  const uint64_t status = bench.RxStatus(0);
  EXPECT_EQ(status & 0xfffff, kRxDd | kRxEop | kRxIxsm);
  EXPECT_EQ(status >> 32 & 0xffff, 200u);
}

TEST(Receive, FlowControlPausesThePartner) {
  TestBench bench;
  bench.BringUp();
  EXPECT_FALSE(bench.nic->PausesPartner());
  bench.Write(kCtrl, kCtrlFd | kCtrlSlu | kCtrlRfce | kCtrlTfce);
  bench.Write(kFcrth, 8 * 1024);
  bench.nic->Receive(TestFrame(64));
  EXPECT_TRUE(bench.nic->PausesPartner());
  EXPECT_TRUE(bench.nic->ObeysPause());
  bench.PostRx(4);
  EXPECT_FALSE(bench.nic->PausesPartner());
}

}  // namespace
}  // namespace bulkhead::nic_model::i82574
