// Shows on a fake BAR what the driver writes to which register in which order,
// and how it reads the rings; the test plays the device on the ring memory.
#include "nic_driver/e1000e/e1000e.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "nic_driver/framework/fake_device.h"
#include "nic_driver/framework/fake_dma.h"
#include "nic_driver/intel/statistics.h"

namespace bulkhead::nic_driver {
namespace {

using namespace e1000e;

constexpr uint32_t kRal0 = 0x5400;
constexpr uint32_t kRah0 = 0x5404;
constexpr uint32_t kRdt = 0x2818;
constexpr uint32_t kTdt = 0x3818;
constexpr uint32_t kRctl = 0x0100;
constexpr uint32_t kCtrl = 0x0000;
constexpr uint32_t kStatus = 0x0008;
constexpr size_t kAllTxRoom = E1000e::kTxEntries - 1 - kBatchPieces;
constexpr uint32_t kRxRingBytes = E1000e::kRxEntries * sizeof(RxDescriptor);

class E1000eTest : public ::testing::Test {
 protected:
  E1000eTest() : loop_(*EventLoop::Create()) {
    device_[kRal0] = 0x4e1cb002;
    device_[kRah0] = RAH0::AV(1).bits() | 0x01ad;
    device_[kStatus] =
        STATUS::LU(1).bits() | STATUS::FD(1).bits() | STATUS::SPEED(2).bits();
    // A reset ends at once and leaves SLU clear.
    device_.OnWrite(kCtrl, [this](uint32_t value) {
      device_[kCtrl] = value & ~CTRL::RST.kMask;
    });
    driver_ = Make(0x10d3, 3);
  }

  std::unique_ptr<E1000e> Make(uint16_t device, uint32_t vectors) {
    return E1000e::Create(DriverContext{
        *loop_, device_, dma_, {"0000:01:00.0", 0x8086, device}, vectors});
  }

  void Up(uint32_t rx_buffer_bytes = 2048) {
    auto facts = RunToEnd(*loop_, driver_->Attach());
    ASSERT_TRUE(facts.ok()) << facts.status();
    facts_ = *facts;
    auto link = RunToEnd(*loop_, driver_->Start(rx_buffer_bytes, 1));
    ASSERT_TRUE(link.ok()) << link.status();
    link_ = *link;
    const Mapping& memory = dma_.areas.begin()->second;
    rx_ = memory.As<RxDescriptor>();
    tx_ = memory.As<TxDescriptor>(kRxRingBytes);
    device_.ClearLog();
  }

  void GiveRxBuffers(uint32_t count) {
    std::vector<RxBuffer> buffers;
    for (uint32_t i = 0; i < count; ++i) {
      buffers.push_back({0x9000'0000 + i * 2048, i});
    }
    driver_->RxRefill(buffers);
  }

  // As the device writes it back.
  void Receive(uint32_t slot, uint16_t length, uint64_t status = rx::EOP) {
    rx_[slot].status = uint64_t{length} << 32 | rx::DD | status;
  }

  std::vector<RxPiece> Harvest() {
    std::vector<RxPiece> pieces(kBatchPieces);
    pieces.resize(driver_->RxHarvest(pieces));
    return pieces;
  }
  std::vector<TxDone> Reap() {
    std::vector<TxDone> pieces(kBatchPieces);
    pieces.resize(driver_->TxReap(pieces));
    return pieces;
  }

  std::unique_ptr<EventLoop> loop_;
  FakeDevice device_;
  FakeDma dma_;
  std::unique_ptr<E1000e> driver_;
  NicFacts facts_;
  LinkStatus link_;
  RxDescriptor* rx_ = nullptr;
  TxDescriptor* tx_ = nullptr;
};

TEST_F(E1000eTest, ProbesItsOwnDeviceOnly) {
  EXPECT_TRUE(driver_->Probe().ok());
  EXPECT_FALSE(Make(0x10d4, 3)->Probe().ok());
  EXPECT_FALSE(Make(0x10d3, 2)->Probe().ok()) << "too few vectors";
  EXPECT_TRUE(device_.log().empty()) << "Probe touched the device";
}

TEST_F(E1000eTest, AttachReadsTheMacAndStartTheLink) {
  Up();
  EXPECT_EQ(facts_.mac, (MacAddress{0x02, 0xb0, 0x1c, 0x4e, 0xad, 0x01}));
  EXPECT_EQ(link_, (LinkStatus{true, 1000, true}));
}

// Linux powers the PHY of an interface that is down off, and no reset of the
// MAC turns it on again: it would never get a link.
TEST_F(E1000eTest, PowersAPhyUpThatHasNoLink) {
  using intel::MDIC;
  namespace phy = intel::phy;
  device_[kStatus] &= ~STATUS::LU.kMask;
  std::vector<uint32_t> written;
  device_.OnWrite(MDIC::kOffset, [&](uint32_t value) {
    const Value<MDIC> mdic(value);
    EXPECT_NE(device_[EXTCNF_CTRL::kOffset], 0u) << "used without asking";
    uint32_t data = mdic[MDIC::DATA];
    if (mdic[MDIC::OP] == 1) {
      written.push_back(data);
    } else {
      data = mdic[MDIC::REGADD] == phy::kStatus ? 0 : 0x0140 | phy::kPowerDown;
    }
    device_[MDIC::kOffset] = (mdic.With(MDIC::DATA, data) | MDIC::R(1)).bits();
  });
  Up();
  EXPECT_FALSE(link_.up);
  EXPECT_EQ(written, std::vector<uint32_t>{0x0140 | phy::kNegotiate |
                                           phy::kRestartNegotiation});
  EXPECT_EQ(device_[EXTCNF_CTRL::kOffset], 0u) << "kept";
}

// The firmware may hold it: that costs the link, not the NIC.
TEST_F(E1000eTest, APhyThatIsTakenIsNoError) {
  device_[kStatus] &= ~STATUS::LU.kMask;
  device_.OnRead(EXTCNF_CTRL::kOffset, [] { return 0u; });
  Up();
  EXPECT_FALSE(link_.up);
}

// The recovery budget allows few reads: CTRL, RAL0, RAH0, STATUS.
TEST_F(E1000eTest, AStartCostsFourReads) {
  ASSERT_TRUE(RunToEnd(*loop_, driver_->Attach()).ok());
  ASSERT_TRUE(RunToEnd(*loop_, driver_->Start(2048, 1)).ok());
  EXPECT_EQ(device_.CountReads(), 4u);
}

// S4: the platform is asked for DMA after the reset, and the receiver is not
// on before DMA is.
TEST_F(E1000eTest, S4_AsksForDmaAfterTheReset) {
  bool asked_at_reset = false, enabled_at_start = false;
  device_.OnWrite(kCtrl, [&](uint32_t value) {
    if ((value & CTRL::RST.kMask) != 0) asked_at_reset = dma_.requested;
    device_[kCtrl] = value & ~CTRL::RST.kMask;
  });
  device_.OnWrite(kRctl, [&](uint32_t value) {
    if ((value & RCTL::EN.kMask) != 0) enabled_at_start = dma_.enabled;
  });
  Up();
  EXPECT_FALSE(asked_at_reset);
  EXPECT_TRUE(enabled_at_start);
}

// A dirty device: interrupts, receiver and transmitter are shut before
// CTRL.RST.
TEST_F(E1000eTest, ResetsWhateverItFinds) {
  ASSERT_TRUE(RunToEnd(*loop_, driver_->Attach()).ok());
  using Verb = FakeDevice::Verb;
  const std::vector<FakeDevice::Access> first(device_.log().begin(),
                                              device_.log().begin() + 4);
  EXPECT_EQ(first, (std::vector<FakeDevice::Access>{
                       {Verb::kWrite, 0x00d8, 0xffffffff},
                       {Verb::kWrite, 0x0100, 0},
                       {Verb::kWrite, 0x0400, 0x8},
                       {Verb::kWrite, 0x0000, 1u << 26}}));
}

TEST_F(E1000eTest, AResetThatTakesAWhileIsWaitedFor) {
  int reads = 0;
  device_.OnRead(kCtrl, [&] { return ++reads < 3 ? CTRL::RST.kMask : 0u; });
  EXPECT_TRUE(RunToEnd(*loop_, driver_->Attach()).ok());
  EXPECT_EQ(reads, 3);
}

TEST_F(E1000eTest, AResetThatNeverEndsIsAnError) {
  device_.OnRead(kCtrl, [] { return CTRL::RST.kMask; });
  const auto facts = RunToEnd(*loop_, driver_->Attach());
  EXPECT_TRUE(absl::IsDeadlineExceeded(facts.status())) << facts.status();
}

TEST_F(E1000eTest, ADeviceThatIsGoneIsAnError) {
  device_.Remove();
  const auto facts = RunToEnd(*loop_, driver_->Attach());
  EXPECT_TRUE(absl::IsUnavailable(facts.status())) << facts.status();
}

TEST_F(E1000eTest, RefusedMemoryIsAnError) {
  dma_.refuse = true;
  EXPECT_FALSE(RunToEnd(*loop_, driver_->Attach()).ok());
  EXPECT_TRUE(device_.log().empty());
}

TEST_F(E1000eTest, SaysTheSizeOfRxBuffersInRctl) {
  const struct {
    uint32_t bytes;
    uint32_t code;
    uint32_t extended;
  } cases[] = {{256, 3, 0},  {512, 2, 0},  {1024, 1, 0},  {2048, 0, 0},
               {4096, 3, 1}, {8192, 2, 1}, {16384, 1, 1}, {65536, 1, 1}};
  ASSERT_TRUE(RunToEnd(*loop_, driver_->Attach()).ok());
  for (const auto& c : cases) {
    ASSERT_TRUE(RunToEnd(*loop_, driver_->Start(c.bytes, 1)).ok());
    const Value<RCTL> rctl(device_[kRctl]);
    EXPECT_EQ(rctl[RCTL::BSIZE], c.code) << c.bytes;
    EXPECT_EQ(rctl[RCTL::BSEX], c.extended) << c.bytes;
    ASSERT_TRUE(RunToEnd(*loop_, driver_->Stop()).ok());
  }
}

TEST_F(E1000eTest, RefillWritesDescriptorsThenOneDoorbell) {
  Up();
  EXPECT_EQ(driver_->RxRoom(), E1000e::kRxEntries - 1);
  GiveRxBuffers(5);
  EXPECT_EQ(driver_->RxRoom(), E1000e::kRxEntries - 6);
  EXPECT_EQ(rx_[4].address, 0x9000'2000u);
  EXPECT_EQ(rx_[4].status, 0u);
  EXPECT_EQ(device_.log(), (std::vector<FakeDevice::Access>{
                               {FakeDevice::Verb::kDoorbell, kRdt, 5}}));
}

TEST_F(E1000eTest, HarvestsWholeFramesInOrder) {
  Up();
  GiveRxBuffers(8);
  Receive(0, 60);
  Receive(1, 2048, 0);
  Receive(2, 100);
  Receive(3, 2048, 0);  // Its end has not come.
  const std::vector<RxPiece> pieces = Harvest();
  ASSERT_EQ(pieces.size(), 3u);
  EXPECT_EQ(pieces[0].buffer, 0u);
  EXPECT_FALSE(pieces[0].more);
  EXPECT_EQ(pieces[1].buffer, 1u);
  EXPECT_TRUE(pieces[1].more);
  EXPECT_EQ(pieces[2].length, 100u);
  EXPECT_FALSE(pieces[2].more);
  EXPECT_TRUE(Harvest().empty());
  Receive(4, 5);
  EXPECT_EQ(Harvest().size(), 2u);
}

// S7: lengths beyond the buffer, of zero, and error bits make the whole frame
// bad; its buffers come back nevertheless.
TEST_F(E1000eTest, S7_BadFramesAreNotBelieved) {
  Up();
  GiveRxBuffers(16);
  Receive(0, 2049);
  Receive(1, 0);
  Receive(2, 60, rx::EOP | rx::CE);
  Receive(3, 60, rx::EOP | rx::RXE);
  Receive(4, 0xffff, 0);
  Receive(5, 60);
  const std::vector<RxPiece> pieces = Harvest();
  ASSERT_EQ(pieces.size(), 6u);
  for (const RxPiece& piece : pieces) {
    EXPECT_EQ(piece.status, RxStatus::kDeviceError) << piece.buffer;
  }
}

TEST_F(E1000eTest, TrustsTheChecksumOnlyIfItWasChecked) {
  Up();
  NicConfig config;
  config.rx_checksum = true;
  ASSERT_TRUE(driver_->Configure(config).ok());
  GiveRxBuffers(8);
  Receive(0, 60, rx::EOP | rx::TCPCS);
  Receive(1, 60, rx::EOP | rx::TCPCS | rx::TCPE);
  Receive(2, 60, rx::EOP);
  Receive(3, 60, rx::EOP | rx::UDPCS | rx::IXSM);
  const std::vector<RxPiece> pieces = Harvest();
  ASSERT_EQ(pieces.size(), 4u);
  EXPECT_TRUE(pieces[0].checksum_good);
  for (int i = 1; i < 4; ++i) EXPECT_FALSE(pieces[i].checksum_good) << i;
}

// RS is in the last descriptor of each frame, and a frame is reaped as a whole.
TEST_F(E1000eTest, SubmitsAndReapsFrames) {
  Up();
  driver_->TxSubmit(std::vector<TxPiece>{
      {.iova = 0x1000, .buffer = 7, .length = 60},
      {.iova = 0x2000, .buffer = 8, .length = 100, .more = true},
      {.iova = 0x3000, .buffer = 9, .length = 50}});
  EXPECT_EQ(tx_[0].address, 0x1000u);
  EXPECT_EQ(tx_[0].command, 60 | tx::EOP | tx::IFCS | tx::RS);
  EXPECT_EQ(tx_[1].command, 100 | tx::IFCS);
  EXPECT_EQ(tx_[2].command, 50 | tx::EOP | tx::IFCS | tx::RS);
  EXPECT_EQ(device_.CountDoorbells(), 1u);
  EXPECT_EQ(device_[kTdt], 3u);
  EXPECT_TRUE(Reap().empty());
  tx_[0].command |= tx::DD;
  EXPECT_EQ(Reap().size(), 1u);
  tx_[2].command |= tx::DD | tx::EC;
  const std::vector<TxDone> done = Reap();
  ASSERT_EQ(done.size(), 2u);
  EXPECT_EQ(done[0].buffer, 8u);
  EXPECT_TRUE(done[0].more);
  EXPECT_FALSE(done[0].good);
  EXPECT_EQ(done[1].length, 50u);
  EXPECT_FALSE(done[1].good);
  EXPECT_EQ(driver_->TxRoom(), kAllTxRoom);
}

TEST_F(E1000eTest, AsksForTheChecksumInAContext) {
  Up();
  driver_->TxSubmit(std::vector<TxPiece>{{.iova = 0x1000,
                                          .buffer = 1,
                                          .length = 60,
                                          .checksum = true,
                                          .checksum_start = 34,
                                          .checksum_position = 40}});
  EXPECT_EQ(tx_[0].address, uint64_t{34} << 32 | uint64_t{40} << 40);
  EXPECT_EQ(tx_[0].command, tx::DEXT);
  EXPECT_EQ(tx_[1].command, 60 | tx::DEXT | tx::DTYP_DATA | tx::TXSM |
                                tx::EOP | tx::IFCS | tx::RS);
}

// A segment that the NIC cuts up has a context descriptor before it, which the
// driver's client never sees.
TEST_F(E1000eTest, DescribesSegmentsInAContext) {
  Up();
  TxPiece first = {.iova = 0x1000,
                   .buffer = 1,
                   .length = 2000,
                   .more = true,
                   .checksum = true,
                   .checksum_start = 34,
                   .checksum_position = 50,
                   .segment_bytes = 1448,
                   .header_bytes = 66,
                   .frame_bytes = 3000};
  TxPiece second = first;
  second.buffer = 2;
  second.length = 1000;
  second.more = false;
  driver_->TxSubmit(std::vector<TxPiece>{first, second});
  EXPECT_EQ(device_[kTdt], 3u);
  EXPECT_EQ(tx_[0].address,
            14 | 24 << 8 | 33 << 16 | uint64_t{34} << 32 | uint64_t{50} << 40);
  EXPECT_EQ(tx_[0].command, 2934 | tx::DEXT | tx::TSE | tx::TUCMD_TCP |
                                tx::TUCMD_IPV4 | uint64_t{66} << 40 |
                                uint64_t{1448} << 48);
  const uint64_t data =
      tx::DEXT | tx::DTYP_DATA | tx::TSE | tx::IFCS | tx::IXSM | tx::TXSM;
  EXPECT_EQ(tx_[1].command, 2000 | data);
  EXPECT_EQ(tx_[2].command, 1000 | data | tx::EOP | tx::RS);
  EXPECT_TRUE(Reap().empty());
  tx_[2].command |= tx::DD;
  const std::vector<TxDone> done = Reap();
  ASSERT_EQ(done.size(), 2u);
  EXPECT_EQ(done[0].buffer, 1u);
  EXPECT_EQ(done[1].buffer, 2u);
  EXPECT_EQ(driver_->TxRoom(), kAllTxRoom);
}

TEST_F(E1000eTest, SegmentsOverIpv6HaveNoHeaderChecksum) {
  Up();
  driver_->TxSubmit(std::vector<TxPiece>{{.iova = 0x1000,
                                          .buffer = 1,
                                          .length = 2000,
                                          .checksum = true,
                                          .checksum_start = 54,
                                          .checksum_position = 70,
                                          .segment_bytes = 1000,
                                          .header_bytes = 74,
                                          .frame_bytes = 2000,
                                          .ipv6 = true}});
  EXPECT_EQ(tx_[0].address, 14 | uint64_t{54} << 32 | uint64_t{70} << 40);
  EXPECT_EQ(tx_[0].command & tx::TUCMD_IPV4, 0u);
  EXPECT_EQ(tx_[1].command & (tx::IXSM | tx::TXSM), tx::TXSM);
}

// Configure writes only what differs.
TEST_F(E1000eTest, ConfiguresOnlyWhatDiffers) {
  Up();
  NicConfig config;
  ASSERT_TRUE(driver_->Configure(config).ok());
  EXPECT_TRUE(device_.log().empty());
  config.mtu = 9000;
  ASSERT_TRUE(driver_->Configure(config).ok());
  ASSERT_EQ(device_.log().size(), 1u);
  EXPECT_EQ(Value<RCTL>(device_[kRctl])[RCTL::LPE], 1u);
  EXPECT_EQ(Value<RCTL>(device_[kRctl])[RCTL::EN], 1u);
  device_.ClearLog();
  // 01:00:5e:01:02:03, RCTL.MO = 0: bits 47–36, 0x030.
  config.multicast = {{0x01, 0x00, 0x5e, 0x01, 0x02, 0x03}};
  ASSERT_TRUE(driver_->Configure(config).ok());
  EXPECT_EQ(device_.log(), (std::vector<FakeDevice::Access>{
                               {FakeDevice::Verb::kWrite,
                                0x5200 + 4 * (0x30 >> 5), 1u << (0x30 & 31)}}));
  device_.ClearLog();
  config.multicast.clear();
  config.promiscuous = true;
  ASSERT_TRUE(driver_->Configure(config).ok());
  EXPECT_EQ(device_.CountWrites(), 2u);
  config.mtu = 9001;
  EXPECT_FALSE(driver_->Configure(config).ok());
}

// What an earlier owner left in the multicast table goes away, later.
TEST_F(E1000eTest, ClearsTheMulticastTableAfterTheStart) {
  Up();
  for (uint32_t i = 0; i < 128; ++i) device_[0x5200 + 4 * i] = ~0u;
  NicConfig config;
  config.multicast = {{0x01, 0x00, 0x5e, 0x01, 0x02, 0x03}};
  ASSERT_TRUE(driver_->Configure(config).ok());
  while (device_[0x5200] != 0) loop_->RunOnce(100);
  for (uint32_t i = 0; i < 128; ++i) {
    EXPECT_EQ(device_[0x5200 + 4 * i], i == 1 ? 1u << 16 : 0u) << i;
  }
}

// An interrupt of a queue costs no register access until it is armed again.
TEST_F(E1000eTest, ArmsOnlyWhatFired) {
  Up();
  driver_->ArmIrqs();
  EXPECT_TRUE(device_.log().empty());
  EXPECT_TRUE(driver_->HandleIrq(0).traffic);
  EXPECT_TRUE(driver_->HandleIrq(1).traffic);
  EXPECT_TRUE(device_.log().empty());
  driver_->ArmIrqs();
  EXPECT_EQ(device_.log(),
            (std::vector<FakeDevice::Access>{
                {FakeDevice::Verb::kWrite, 0x00d0, 1u << 20 | 1u << 22}}));
  driver_->ArmIrqs();
  EXPECT_EQ(device_.log().size(), 1u);
}

TEST_F(E1000eTest, OtherCausesAreLookedAfterAndStaySilent) {
  Up();
  const IrqResult result = driver_->HandleIrq(2);
  EXPECT_TRUE(result.link);
  EXPECT_TRUE(result.statistics);
  driver_->ArmIrqs();
  for (const FakeDevice::Access& access : device_.log()) {
    EXPECT_NE(access.offset, 0x00d0u) << "armed at once";
  }
  device_[0x4010] = 5;
  device_[intel::CRCERRS::kOffset] = 1;
  device_[intel::ROC::kOffset] = 2;
  device_[intel::RUC::kOffset] = 3;
  const DeviceStatistics statistics = driver_->ReadStatistics();
  EXPECT_EQ(statistics.rx_missed, 5u);
  EXPECT_EQ(statistics.rx_crc, 1u);
  EXPECT_EQ(statistics.rx_length, 5u);
  EXPECT_EQ(device_[0x00d0], 1u << 24);
  EXPECT_EQ(driver_->HandleIrq(3).traffic, false);
}

// Stop counts what the rings still held, forgets it and leaves zeroed rings.
TEST_F(E1000eTest, S8_StopCountsWhatWasLeft) {
  Up();
  GiveRxBuffers(8);
  Receive(0, 60);
  Receive(1, 60, 0);
  Receive(2, 60);
  driver_->TxSubmit(
      std::vector<TxPiece>{{.iova = 1, .buffer = 1, .length = 60},
                           {.iova = 1, .buffer = 2, .length = 70, .more = true},
                           {.iova = 1, .buffer = 3, .length = 60}});
  tx_[0].command |= tx::DD;
  device_[0x4010] = 3;
  const auto report = RunToEnd(*loop_, driver_->Stop());
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->rx_unclaimed_frames, 2u);
  EXPECT_EQ(report->statistics.rx_missed, 3u);
  EXPECT_EQ(report->tx_sent_frames, 1u);
  EXPECT_EQ(report->tx_sent_bytes, 60u);
  EXPECT_EQ(report->tx_unsent_frames, 1u);
  EXPECT_EQ(rx_[0].address, 0u);
  EXPECT_EQ(tx_[0].command, 0u);
  EXPECT_EQ(driver_->RxRoom(), E1000e::kRxEntries - 1);
  EXPECT_EQ(driver_->TxRoom(), kAllTxRoom);
}

// Bus requests that never end do not keep Stop from its end.
TEST_F(E1000eTest, StopDoesNotWaitForEver) {
  Up();
  device_[kStatus] |= STATUS::GIO_MASTER_ENABLE.kMask;
  EXPECT_TRUE(RunToEnd(*loop_, driver_->Stop()).ok());
}

// Attach and detach a thousand times: no area is left, no timer fires later.
TEST_F(E1000eTest, S10_AttachDetachLeaksNothing) {
  for (int i = 0; i < 1000; ++i) {
    driver_ = Make(0x10d3, 3);
    ASSERT_TRUE(RunToEnd(*loop_, driver_->Attach()).ok());
    ASSERT_EQ(dma_.areas.size(), 1u);
    ASSERT_TRUE(RunToEnd(*loop_, driver_->Start(2048, 1)).ok());
    GiveRxBuffers(3);
    ASSERT_TRUE(RunToEnd(*loop_, driver_->Stop()).ok());
    ASSERT_TRUE(RunToEnd(*loop_, driver_->Detach()).ok());
    ASSERT_TRUE(dma_.areas.empty());
  }
}

// The crash path writes and waits for nothing.
TEST_F(E1000eTest, ShutdownOnlyStopsDma) {
  Up();
  driver_->Shutdown();
  EXPECT_EQ(device_.CountReads(), 0u);
  EXPECT_EQ(device_[kRctl], 0u);
  EXPECT_EQ(Value<TCTL>(device_[0x0400])[TCTL::EN], 0u);
  EXPECT_EQ(Value<CTRL>(device_[kCtrl])[CTRL::GIO_MASTER_DISABLE], 1u);
  EXPECT_EQ(dma_.areas.size(), 1u);
}

}  // namespace
}  // namespace bulkhead::nic_driver
