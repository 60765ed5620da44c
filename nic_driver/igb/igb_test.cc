// Shows on a fake BAR what the driver writes to which register in which order,
// and how it reads the rings; the test plays the device on the ring memory.
#include "nic_driver/igb/igb.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <tuple>
#include <vector>

#include "nic_driver/framework/fake_device.h"
#include "nic_driver/framework/fake_dma.h"

namespace bulkhead::nic_driver {
namespace {

using namespace igb;

constexpr uint32_t kRal0 = 0x5400;
constexpr uint32_t kRah0 = 0x5404;
constexpr uint32_t kRdt = 0xc018;
constexpr uint32_t kTdt = 0xe018;
constexpr uint32_t kSrrctl = 0xc00c;
constexpr uint32_t kRxdctl = 0xc028;
constexpr uint32_t kEims = 0x1524;
constexpr uint32_t kEimc = 0x1528;
constexpr uint32_t kRctl = 0x0100;
constexpr uint32_t kCtrl = 0x0000;
constexpr uint32_t kStatus = 0x0008;
constexpr size_t kAllTxRoom = Igb::kTxEntries - 1 - Igb::kContextReserve;
constexpr uint32_t kRxRingBytes = Igb::kRxEntries * sizeof(RxDescriptor);

class IgbTest : public ::testing::Test {
 protected:
  IgbTest() : loop_(*EventLoop::Create()) {
    device_[kRal0] = 0x4e1cb002;
    device_[kRah0] = RAH0::AV(1).bits() | 0x01ad;
    device_[kStatus] =
        STATUS::LU(1).bits() | STATUS::FD(1).bits() | STATUS::SPEED(2).bits();
    // A reset ends at once and leaves SLU clear.
    device_.OnWrite(kCtrl, [this](uint32_t value) {
      device_[kCtrl] = value & ~CTRL::RST.kMask;
    });
    driver_ = Make(0x10c9, 3);
  }

  std::unique_ptr<Igb> Make(uint16_t device, uint32_t vectors,
                            uint32_t queues = 1) {
    return Igb::Create(DriverContext{*loop_,
                                     device_,
                                     dma_,
                                     {"0000:01:00.0", 0x8086, device},
                                     vectors,
                                     queues});
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
    driver_->queue(0).RxRefill(buffers);
  }

  // As the device writes it back.
  void Receive(uint32_t slot, uint16_t length, uint64_t status = rx::EOP) {
    rx_[slot].status = uint64_t{length} << 32 | rx::DD | status;
  }

  std::vector<RxPiece> Harvest() {
    std::vector<RxPiece> pieces(kBatchPieces);
    pieces.resize(driver_->queue(0).RxHarvest(pieces));
    return pieces;
  }
  std::vector<TxDone> Reap() {
    std::vector<TxDone> pieces(kBatchPieces);
    pieces.resize(driver_->queue(0).TxReap(pieces));
    return pieces;
  }

  std::unique_ptr<EventLoop> loop_;
  FakeDevice device_;
  FakeDma dma_;
  std::unique_ptr<Igb> driver_;
  NicFacts facts_;
  LinkStatus link_;
  RxDescriptor* rx_ = nullptr;
  TxDescriptor* tx_ = nullptr;
};

TEST_F(IgbTest, ProbesItsOwnDeviceOnly) {
  EXPECT_TRUE(driver_->Probe().ok());
  EXPECT_FALSE(Make(0x10ca, 3)->Probe().ok());
  EXPECT_FALSE(Make(0x10c9, 1)->Probe().ok()) << "too few vectors";
  EXPECT_TRUE(device_.log().empty()) << "Probe touched the device";
}

TEST_F(IgbTest, AttachReadsTheMacAndStartTheLink) {
  Up();
  EXPECT_EQ(facts_.mac, (MacAddress{0x02, 0xb0, 0x1c, 0x4e, 0xad, 0x01}));
  EXPECT_EQ(link_, (LinkStatus{true, 1000, true}));
}

// The recovery budget allows few reads. Attach: CTRL before and after the
// reset, TCTL, RAL0, RAH0, STATUS. Start: RXDCTL, TXDCTL, STATUS.
TEST_F(IgbTest, AStartCostsNineReads) {
  ASSERT_TRUE(RunToEnd(*loop_, driver_->Attach()).ok());
  EXPECT_EQ(device_.CountReads(), 6u);
  ASSERT_TRUE(RunToEnd(*loop_, driver_->Start(2048, 1)).ok());
  EXPECT_EQ(device_.CountReads(), 9u);
}

// S4: the platform is asked for DMA after the reset, and the receiver is not
// on before DMA is.
TEST_F(IgbTest, S4_AsksForDmaAfterTheReset) {
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

// A dirty device: interrupts, receiver and transmitter are shut, and a read has
// made sure of it, before CTRL.RST.
TEST_F(IgbTest, ResetsWhateverItFinds) {
  device_[kCtrl] = 0x40;
  ASSERT_TRUE(RunToEnd(*loop_, driver_->Attach()).ok());
  using Verb = FakeDevice::Verb;
  const std::vector<FakeDevice::Access> first(device_.log().begin(),
                                              device_.log().begin() + 6);
  EXPECT_EQ(first, (std::vector<FakeDevice::Access>{
                       {Verb::kWrite, 0x00d8, 0xffffffff},
                       {Verb::kWrite, kEimc, 0x1ffffff},
                       {Verb::kWrite, 0x0100, 0},
                       {Verb::kWrite, 0x0400, 0x8},
                       {Verb::kRead, kCtrl, 0x40},
                       {Verb::kWrite, kCtrl, 1u << 26 | 0x40}}));
}

TEST_F(IgbTest, AResetThatTakesAWhileIsWaitedFor) {
  int reads = 0;
  device_.OnRead(kCtrl, [&] {
    ++reads;
    return reads > 1 && reads < 4 ? CTRL::RST.kMask : 0u;
  });
  EXPECT_TRUE(RunToEnd(*loop_, driver_->Attach()).ok());
  EXPECT_EQ(reads, 4);
}

// A queue counts as on once it says so; no tail moves before.
TEST_F(IgbTest, WaitsForItsQueues) {
  ASSERT_TRUE(RunToEnd(*loop_, driver_->Attach()).ok());
  int reads = 0;
  device_.OnRead(kRxdctl,
                 [&] { return ++reads < 3 ? 0 : RXDCTL::ENABLE(1).bits(); });
  EXPECT_TRUE(RunToEnd(*loop_, driver_->Start(2048, 1)).ok());
  EXPECT_EQ(reads, 3);
}

TEST_F(IgbTest, AQueueThatStaysOffIsAnError) {
  ASSERT_TRUE(RunToEnd(*loop_, driver_->Attach()).ok());
  device_.OnRead(kRxdctl, [] { return 0u; });
  const auto link = RunToEnd(*loop_, driver_->Start(2048, 1));
  EXPECT_TRUE(absl::IsDeadlineExceeded(link.status())) << link.status();
}

// Plays the PHY: `negotiated` is what its status says; returns what was written
// to its control register.
class PhyOf {
 public:
  PhyOf(FakeDevice& device, bool negotiated) {
    device[kStatus] &= ~STATUS::LU.kMask;
    device.OnWrite(
        intel::MDIC::kOffset, [this, &device, negotiated](uint32_t value) {
          const Value<intel::MDIC> mdic(value);
          uint32_t data = mdic[intel::MDIC::DATA];
          if (mdic[intel::MDIC::OP] == 1) {
            control_ = data;
          } else if (mdic[intel::MDIC::REGADD] == intel::phy::kStatus) {
            data = negotiated ? intel::phy::kNegotiated : 0;
          } else {
            data = 0x0140 | intel::phy::kPowerDown;
          }
          device[intel::MDIC::kOffset] =
              (mdic.With(intel::MDIC::DATA, data) | intel::MDIC::R(1)).bits();
        });
    // As the hardware: SWESMBI stays as it was written, SMBI is free.
    device.OnWrite(SWSM::kOffset, [&device](uint32_t value) {
      device[SWSM::kOffset] = value & SWSM::SWESMBI.kMask;
    });
  }
  std::optional<uint32_t> control() const { return control_; }

 private:
  std::optional<uint32_t> control_;
};

// A PHY that nobody has told to negotiate would never get a link.
TEST_F(IgbTest, MakesAPhyNegotiateThatDoesNot) {
  const PhyOf phy(device_, false);
  ASSERT_TRUE(RunToEnd(*loop_, driver_->Attach()).ok());
  EXPECT_EQ(phy.control(),
            0x0140u | intel::phy::kNegotiate | intel::phy::kRestartNegotiation);
  EXPECT_EQ(device_[SW_FW_SYNC::kOffset], 0u) << "semaphore kept";
  EXPECT_EQ(device_[SWSM::kOffset], 0u);
}

// Where a reset costs the link, Stop does without one: the queues are emptied.
TEST_F(IgbTest, StopKeepsALinkThatAResetWouldDrop) {
  const PhyOf phy(device_, false);
  Up();
  GiveRxBuffers(8);
  Receive(0, 60);
  device_[kStatus] |= STATUS::LU.kMask;
  const auto report = RunToEnd(*loop_, driver_->Stop());
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->rx_unclaimed_frames, 1u);
  for (const FakeDevice::Access& access : device_.log()) {
    EXPECT_FALSE(access.offset == kCtrl &&
                 access.verb == FakeDevice::Verb::kWrite &&
                 (access.value & CTRL::RST.kMask) != 0);
  }
  EXPECT_EQ(device_[kRxdctl], 0u);
  EXPECT_EQ(device_[kRdt], 0u);
  EXPECT_EQ(rx_[0].address, 0u);
  EXPECT_EQ(Value<CTRL>(device_[kCtrl])[CTRL::GIO_MASTER_DISABLE], 0u);
  EXPECT_EQ(driver_->queue(0).RxRoom(), Igb::kRxEntries - 1);
  ASSERT_TRUE(RunToEnd(*loop_, driver_->Start(2048, 1)).ok());
}

// A link that is about to come is not disturbed.
TEST_F(IgbTest, LeavesAPhyAloneThatHasNegotiated) {
  const PhyOf phy(device_, true);
  ASSERT_TRUE(RunToEnd(*loop_, driver_->Attach()).ok());
  EXPECT_FALSE(phy.control().has_value());
  EXPECT_EQ(device_[SW_FW_SYNC::kOffset], 0u);
}

// A semaphore that a dead owner holds costs the link, not the NIC.
TEST_F(IgbTest, APhyThatIsTakenIsNoError) {
  const PhyOf phy(device_, false);
  device_[SW_FW_SYNC::kOffset] = SW_FW_SYNC::FW_PHY_SM(1).bits();
  EXPECT_TRUE(RunToEnd(*loop_, driver_->Attach()).ok());
  EXPECT_FALSE(phy.control().has_value());
}

TEST_F(IgbTest, AResetThatNeverEndsIsAnError) {
  device_.OnRead(kCtrl, [] { return CTRL::RST.kMask; });
  const auto facts = RunToEnd(*loop_, driver_->Attach());
  EXPECT_TRUE(absl::IsDeadlineExceeded(facts.status())) << facts.status();
}

TEST_F(IgbTest, ADeviceThatIsGoneIsAnError) {
  device_.Remove();
  const auto facts = RunToEnd(*loop_, driver_->Attach());
  EXPECT_TRUE(absl::IsUnavailable(facts.status())) << facts.status();
}

TEST_F(IgbTest, RefusedMemoryIsAnError) {
  dma_.refuse = true;
  EXPECT_FALSE(RunToEnd(*loop_, driver_->Attach()).ok());
  EXPECT_TRUE(device_.log().empty());
}

TEST_F(IgbTest, SaysTheSizeOfRxBuffers) {
  const struct {
    uint32_t bytes;
    uint32_t kib;   // SRRCTL.BSIZEPACKET
    uint32_t code;  // RCTL.BSIZE
  } cases[] = {{256, 0, 3},  {512, 0, 2},  {1024, 1, 0},
               {2048, 2, 0}, {4096, 4, 0}, {65536, 64, 0}};
  ASSERT_TRUE(RunToEnd(*loop_, driver_->Attach()).ok());
  for (const auto& c : cases) {
    ASSERT_TRUE(RunToEnd(*loop_, driver_->Start(c.bytes, 1)).ok());
    EXPECT_EQ(Value<RCTL>(device_[kRctl])[RCTL::BSIZE], c.code) << c.bytes;
    const Value<SRRCTL> srrctl(device_[kSrrctl]);
    EXPECT_EQ(srrctl[SRRCTL::BSIZEPACKET], c.kib) << c.bytes;
    EXPECT_EQ(srrctl[SRRCTL::DESCTYPE], 1u);
    EXPECT_EQ(srrctl[SRRCTL::DROP_EN], 0u);
    ASSERT_TRUE(RunToEnd(*loop_, driver_->Stop()).ok());
  }
}

TEST_F(IgbTest, RefillWritesDescriptorsThenOneDoorbell) {
  Up();
  EXPECT_EQ(driver_->queue(0).RxRoom(), Igb::kRxEntries - 1);
  GiveRxBuffers(5);
  EXPECT_EQ(driver_->queue(0).RxRoom(), Igb::kRxEntries - 6);
  EXPECT_EQ(rx_[4].address, 0x9000'2000u);
  EXPECT_EQ(rx_[4].status, 0u);
  EXPECT_EQ(device_.log(), (std::vector<FakeDevice::Access>{
                               {FakeDevice::Verb::kDoorbell, kRdt, 5}}));
}

TEST_F(IgbTest, HarvestsWholeFramesInOrder) {
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
TEST_F(IgbTest, S7_BadFramesAreNotBelieved) {
  Up();
  GiveRxBuffers(16);
  Receive(0, 2049);
  Receive(1, 0);
  Receive(2, 60, rx::EOP | rx::RXE);
  Receive(3, 0xffff, 0);
  Receive(4, 60);
  const std::vector<RxPiece> pieces = Harvest();
  ASSERT_EQ(pieces.size(), 5u);
  for (const RxPiece& piece : pieces) {
    EXPECT_EQ(piece.status, RxStatus::kDeviceError) << piece.buffer;
  }
}

TEST_F(IgbTest, TrustsTheChecksumOnlyIfItWasChecked) {
  Up();
  NicConfig config;
  config.rx_checksum = true;
  ASSERT_TRUE(driver_->Configure(config).ok());
  GiveRxBuffers(8);
  Receive(0, 60, rx::EOP | rx::L4CS);
  Receive(1, 60, rx::EOP | rx::L4CS | rx::L4E);
  Receive(2, 60, rx::EOP);
  const std::vector<RxPiece> pieces = Harvest();
  ASSERT_EQ(pieces.size(), 3u);
  EXPECT_TRUE(pieces[0].checksum_good);
  for (int i = 1; i < 3; ++i) EXPECT_FALSE(pieces[i].checksum_good) << i;
}

constexpr uint64_t kData = tx::DEXT | tx::DTYP_DATA | tx::IFCS;

// RS is in the last descriptor of each frame, and a frame is reaped as a whole.
TEST_F(IgbTest, SubmitsAndReapsFrames) {
  Up();
  driver_->queue(0).TxSubmit(std::vector<TxPiece>{
      {.iova = 0x1000, .buffer = 7, .length = 60, .frame_bytes = 60},
      {.iova = 0x2000,
       .buffer = 8,
       .length = 100,
       .more = true,
       .frame_bytes = 150},
      {.iova = 0x3000, .buffer = 9, .length = 50, .frame_bytes = 150}});
  EXPECT_EQ(tx_[0].address, 0x1000u);
  EXPECT_EQ(tx_[0].command, kData | 60 | tx::EOP | tx::RS | tx::Paylen(60));
  EXPECT_EQ(tx_[1].command, kData | 100 | tx::Paylen(150));
  EXPECT_EQ(tx_[2].command, kData | 50 | tx::EOP | tx::RS);
  EXPECT_EQ(device_.CountDoorbells(), 1u);
  EXPECT_EQ(device_[kTdt], 3u);
  EXPECT_TRUE(Reap().empty());
  tx_[0].command |= tx::DD;
  EXPECT_EQ(Reap().size(), 1u);
  tx_[2].command |= tx::DD;
  const std::vector<TxDone> done = Reap();
  ASSERT_EQ(done.size(), 2u);
  EXPECT_EQ(done[0].buffer, 8u);
  EXPECT_TRUE(done[0].more);
  EXPECT_EQ(done[1].length, 50u);
  EXPECT_EQ(driver_->queue(0).TxRoom(), kAllTxRoom);
}

// A context comes before the first frame that needs it, and again only when
// another is needed. No client sees it.
TEST_F(IgbTest, PutsContextsBeforeChecksums) {
  Up();
  TxPiece udp = {.iova = 0x1000,
                 .buffer = 1,
                 .length = 40,
                 .more = true,
                 .checksum = true,
                 .checksum_start = 34,
                 .checksum_position = 40,
                 .frame_bytes = 70};
  TxPiece rest = udp;
  rest.buffer = 2;
  rest.length = 30;
  rest.more = false;
  TxPiece tcp6 = rest;
  tcp6.buffer = 3;
  tcp6.checksum_start = 54;
  tcp6.checksum_position = 70;
  TxPiece whole = rest;
  whole.frame_bytes = tcp6.frame_bytes = 30;
  driver_->queue(0).TxSubmit(std::vector<TxPiece>{udp, rest, whole, tcp6});
  EXPECT_EQ(tx_[0].address, 14u << 9 | 20);
  EXPECT_EQ(tx_[0].command, tx::DEXT | tx::DTYP_CONTEXT | tx::L4T_UDP);
  EXPECT_EQ(tx_[1].command, kData | 40 | tx::Paylen(70) | tx::TXSM);
  EXPECT_EQ(tx_[2].command, kData | 30 | tx::EOP | tx::RS);
  EXPECT_EQ(tx_[3].command,
            kData | 30 | tx::EOP | tx::RS | tx::Paylen(30) | tx::TXSM);
  EXPECT_EQ(tx_[4].address, 14u << 9 | 40);
  EXPECT_EQ(tx_[4].command, tx::DEXT | tx::DTYP_CONTEXT | tx::L4T_TCP);
  EXPECT_EQ(device_[kTdt], 6u);
  for (int i : {2, 3, 5}) tx_[i].command |= tx::DD;
  const std::vector<TxDone> done = Reap();
  ASSERT_EQ(done.size(), 4u);
  for (uint32_t i = 0; i < 4; ++i) {
    EXPECT_EQ(done[i].buffer, i < 2 ? i + 1 : i);
  }
  EXPECT_EQ(driver_->queue(0).TxRoom(), kAllTxRoom);
}

// A segment that the NIC cuts up: how, is in the context; over IPv6 there is no
// header checksum.
TEST_F(IgbTest, DescribesSegmentsInAContext) {
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
  TxPiece v6 = second;
  v6.checksum_start = 54;
  v6.checksum_position = 70;
  v6.header_bytes = 74;
  v6.frame_bytes = 1000;
  v6.ipv6 = true;
  driver_->queue(0).TxSubmit(std::vector<TxPiece>{first, second, v6});
  constexpr uint64_t kContext = tx::DEXT | tx::DTYP_CONTEXT | tx::L4T_TCP;
  EXPECT_EQ(tx_[0].address, 14u << 9 | 20);
  EXPECT_EQ(tx_[0].command, kContext | tx::TUCMD_IPV4 | uint64_t{32} << 40 |
                                uint64_t{1448} << 48);
  EXPECT_EQ(tx_[1].command,
            kData | 2000 | tx::TSE | tx::TXSM | tx::IXSM | tx::Paylen(2934));
  EXPECT_EQ(tx_[2].command, kData | 1000 | tx::TSE | tx::EOP | tx::RS);
  EXPECT_EQ(tx_[3].address, 14u << 9 | 40);
  EXPECT_EQ(tx_[3].command,
            kContext | uint64_t{20} << 40 | uint64_t{1448} << 48);
  EXPECT_EQ(tx_[4].command, kData | 1000 | tx::TSE | tx::TXSM | tx::EOP |
                                tx::RS | tx::Paylen(926));
  EXPECT_TRUE(Reap().empty());
  tx_[2].command |= tx::DD;
  EXPECT_EQ(Reap().size(), 2u);
}

// A whole batch of frames, each with a context of its own, fits wherever TxRoom
// lets it.
TEST_F(IgbTest, ContextsNeverOverrunTheRing) {
  Up();
  uint32_t submitted = 0;
  while (driver_->queue(0).TxRoom() >= kBatchPieces) {
    std::vector<TxPiece> batch(kBatchPieces);
    for (TxPiece& piece : batch) {
      piece = {.iova = 1, .buffer = submitted, .length = 60, .checksum = true};
      piece.checksum_start = static_cast<uint16_t>(34 + submitted++ % 2 * 4);
      piece.checksum_position =
          static_cast<uint16_t>(piece.checksum_start + 16);
    }
    driver_->queue(0).TxSubmit(batch);
  }
  EXPECT_EQ(device_[kTdt], 2 * submitted);
  EXPECT_LT(2 * submitted, Igb::kTxEntries);
}

// Configure writes only what differs.
TEST_F(IgbTest, ConfiguresOnlyWhatDiffers) {
  Up();
  NicConfig config;
  ASSERT_TRUE(driver_->Configure(config).ok());
  EXPECT_TRUE(device_.log().empty());
  config.mtu = 9000;
  ASSERT_TRUE(driver_->Configure(config).ok());
  ASSERT_EQ(device_.log().size(), 2u);
  EXPECT_EQ(device_[RLPML::kOffset], 9022u);
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
TEST_F(IgbTest, ClearsTheMulticastTableAfterTheStart) {
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
TEST_F(IgbTest, ArmsOnlyWhatFired) {
  Up();
  driver_->queue(0).ArmIrqs();
  EXPECT_TRUE(device_.log().empty());
  EXPECT_EQ(driver_->QueueOf(0), 0u);
  EXPECT_TRUE(driver_->queue(0).HandleIrq(0).traffic);
  EXPECT_TRUE(device_.log().empty());
  driver_->queue(0).ArmIrqs();
  EXPECT_EQ(
      device_.log(),
      (std::vector<FakeDevice::Access>{{FakeDevice::Verb::kWrite, kEims, 1}}));
  driver_->queue(0).ArmIrqs();
  EXPECT_EQ(device_.log().size(), 1u);
}

// A device that does not mask by itself is told to.
TEST_F(IgbTest, MasksWhatFiresAgain) {
  Up();
  EXPECT_TRUE(driver_->queue(0).HandleIrq(0).traffic);
  EXPECT_TRUE(driver_->queue(0).HandleIrq(0).traffic);
  EXPECT_EQ(
      device_.log(),
      (std::vector<FakeDevice::Access>{{FakeDevice::Verb::kWrite, kEimc, 1}}));
}

TEST_F(IgbTest, OtherCausesAreLookedAfterAndStaySilent) {
  Up();
  EXPECT_EQ(driver_->QueueOf(1), Driver::kControl);
  const IrqResult result = driver_->HandleIrq(1);
  EXPECT_TRUE(result.link);
  EXPECT_TRUE(result.statistics);
  driver_->queue(0).ArmIrqs();
  for (const FakeDevice::Access& access : device_.log()) {
    EXPECT_NE(access.offset, kEims) << "armed at once";
  }
  device_[0x4010] = 5;
  EXPECT_EQ(driver_->ReadStatistics().rx_missed, 5u);
  EXPECT_EQ(device_[kEims], 2u);
  EXPECT_EQ(driver_->HandleIrq(2).link, false);
}

// Of several queues, each has its rings, its tails and its vector; RSS names
// those that are in use, and no other.
TEST_F(IgbTest, SpreadsFlowsOverTheQueuesThatAreInUse) {
  driver_ = Make(0x10c9, 10, 4);
  auto facts = RunToEnd(*loop_, driver_->Attach());
  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_EQ(facts->queues, 4u);
  ASSERT_EQ(dma_.areas.size(), 1u);
  ASSERT_TRUE(RunToEnd(*loop_, driver_->Start(2048, 3)).ok());
  std::set<uint32_t> named;
  for (uint32_t i = 0; i < 128; ++i) {
    named.insert(device_[0x5c00 + i / 4 * 4] >> i % 4 * 8 & 0xff);
  }
  EXPECT_EQ(named, (std::set<uint32_t>{0, 1, 2}));
  EXPECT_EQ(device_[0x5818] & 7, 2u) << "MRQC: RSS";
  EXPECT_NE(device_[0x5000] & 1 << 13, 0u) << "RXCSUM.PCSD";
  std::set<uint32_t> rings;
  for (uint32_t i = 0; i < 4; ++i) {
    const uint32_t at = 0x40 * i;
    rings.insert({device_[0xc000 + at], device_[0xe000 + at]});
    EXPECT_EQ(device_[kRxdctl + at] >> 25 & 1, i < 3 ? 1u : 0u) << i;
    EXPECT_EQ(device_[0xe028 + at] >> 25 & 1, i < 3 ? 1u : 0u) << i;
    EXPECT_EQ(device_[0x1700 + 4 * i], (0x80u | i) << 8 | 0x80u | i);
    EXPECT_EQ(driver_->QueueOf(i), i);
  }
  EXPECT_EQ(rings.size(), 8u) << "rings overlap";
  EXPECT_EQ(driver_->QueueOf(4), Driver::kControl);
  device_.ClearLog();
  const std::vector<RxBuffer> buffers(5);
  driver_->queue(2).RxRefill(buffers);
  driver_->queue(2).HandleIrq(2);
  driver_->queue(2).ArmIrqs();
  EXPECT_EQ(device_.log(), (std::vector<FakeDevice::Access>{
                               {FakeDevice::Verb::kDoorbell, kRdt + 0x80, 5},
                               {FakeDevice::Verb::kWrite, kEims, 4}}));
  EXPECT_EQ(driver_->queue(0).RxRoom(), Igb::kRxEntries - 1);
}

// A session of one lane after one of several: no frame goes astray.
TEST_F(IgbTest, GoesBackToOneQueue) {
  driver_ = Make(0x10c9, 10, 2);
  // Its resets drop the link, so that Stop does without one.
  const PhyOf phy(device_, false);
  ASSERT_TRUE(RunToEnd(*loop_, driver_->Attach()).ok());
  ASSERT_TRUE(RunToEnd(*loop_, driver_->Start(2048, 2)).ok());
  EXPECT_NE(device_[0x5818], 0u);
  ASSERT_TRUE(RunToEnd(*loop_, driver_->Stop()).ok());
  EXPECT_EQ(device_[kRxdctl + 0x40], 0u);
  ASSERT_TRUE(RunToEnd(*loop_, driver_->Start(2048, 1)).ok());
  EXPECT_EQ(device_[0x5818], 0u);
  EXPECT_EQ(device_[kRxdctl + 0x40], 0u);
}

// More queues than vectors, or than it knows how to use: fewer will do.
TEST_F(IgbTest, UsesAsManyQueuesAsItHasVectorsFor) {
  for (const auto& [vectors, asked, used] :
       {std::tuple{3u, 4u, 2u}, {2u, 4u, 1u}, {25u, 16u, 8u}}) {
    driver_ = Make(0x10c9, vectors, asked);
    auto facts = RunToEnd(*loop_, driver_->Attach());
    ASSERT_TRUE(facts.ok());
    EXPECT_EQ(facts->queues, used);
    ASSERT_TRUE(RunToEnd(*loop_, driver_->Detach()).ok());
  }
}

// Stop counts what the rings still held, forgets it and leaves zeroed rings.
TEST_F(IgbTest, S8_StopCountsWhatWasLeft) {
  Up();
  GiveRxBuffers(8);
  Receive(0, 60);
  Receive(1, 60, 0);
  Receive(2, 60);
  driver_->queue(0).TxSubmit(
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
  EXPECT_EQ(driver_->queue(0).RxRoom(), Igb::kRxEntries - 1);
  EXPECT_EQ(driver_->queue(0).TxRoom(), kAllTxRoom);
}

// Bus requests that never end do not keep Stop from its end.
TEST_F(IgbTest, StopDoesNotWaitForEver) {
  Up();
  device_[kStatus] |= STATUS::GIO_MASTER_ENABLE.kMask;
  EXPECT_TRUE(RunToEnd(*loop_, driver_->Stop()).ok());
}

// Attach and detach a thousand times: no area is left, no timer fires later.
TEST_F(IgbTest, S10_AttachDetachLeaksNothing) {
  for (int i = 0; i < 1000; ++i) {
    driver_ = Make(0x10c9, 3);
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
TEST_F(IgbTest, ShutdownOnlyStopsDma) {
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
