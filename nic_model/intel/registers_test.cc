// Register semantics, row by row: what is written, what reads back, and what a
// read or write does besides.
#include "nic_model/intel/registers.h"

#include <cerrno>
#include <utility>
#include <vector>

#include "nic_model/intel/chips_under_test.h"

namespace bulkhead::nic_model::intel {
namespace {

template <typename Chip>
class Registers : public ::testing::Test {};
TYPED_TEST_SUITE(Registers, Chips, ChipNames);

template <typename Chip>
class Link : public ::testing::Test {};
TYPED_TEST_SUITE(Link, Chips, ChipNames);

template <typename Chip>
class Reset : public ::testing::Test {};
TYPED_TEST_SUITE(Reset, Chips, ChipNames);

template <typename Chip>
class ConfigSpaceTest : public ::testing::Test {};
TYPED_TEST_SUITE(ConfigSpaceTest, Chips, ChipNames);

TYPED_TEST(Registers, ReadBack) {
  const TestLayout at = TypeParam().at;
  const struct {
    const char* name;
    uint32_t offset, written, expected;
  } kCases[] = {
      {"RDBAL keeps 16-byte alignment", at.rdbal, 0x12345678, 0x12345670},
      {"RDBAH", at.rdbal + 4, 0x1234, 0x1234},
      {"RDLEN is a multiple of 128, below 1 MiB", at.rdlen, ~0u, 0xfff80},
      {"TDLEN", at.tdlen, 0x1001, 0x1000},
      {"RDH has 16 bits", at.rdh, 0x12345, 0x2345},
      {"TDT has 16 bits", at.tdt, 0x54321, 0x4321},
      {"RDT has 16 bits", at.rdt, 0x54321, 0x4321},
      {"IMC reads as 0", at.imc, 0xff, 0},
      {"statistics cannot be written", kGprc, 7, 0},
      {"FWSM is firmware's", kFwsm, ~0u, 0},
      {"MTA", kMta + 4 * 127, 0xdeadbeef, 0xdeadbeef},
      {"RAL 15", kRal0 + 8 * 15, 0x11223344, 0x11223344},
      {"a reserved place holds what is written", 0x1fffc, 5, 5},
  };
  for (const auto& c : kCases) {
    TypeParam bench;
    bench.Write(c.offset, c.written);
    EXPECT_EQ(bench.Read(c.offset), c.expected) << c.name;
  }
}

TYPED_TEST(Registers, OddAccessesAreRefused) {
  TypeParam bench;
  uint8_t bytes[8] = {};
  EXPECT_EQ(bench.nic->ReadRegion(0, 2, std::span(bytes, 4)), EINVAL);
  EXPECT_EQ(bench.nic->ReadRegion(0, 0, std::span(bytes, 2)), EINVAL);
  EXPECT_EQ(bench.nic->WriteRegion(0, 1, std::span(bytes, 4)), EINVAL);
  EXPECT_EQ(bench.nic->WriteRegion(3, 0, std::span(bytes, 1)), EINVAL);
  EXPECT_EQ(bench.nic->ReadRegion(0, 0, std::span(bytes, 8)), 0)
      << "two registers at once";
}

TYPED_TEST(Registers, NvmHoldsMacAndChecksum) {
  TypeParam bench;
  uint16_t sum = 0;
  for (uint32_t word = 0; word < 64; ++word) {
    bench.Write(kEerd, word << 2 | kEerdStart);
    const uint32_t value = bench.Read(kEerd);
    ASSERT_TRUE(value & kEerdDone);
    sum = static_cast<uint16_t>(sum + (value >> 16));
    if (word < 3) {
      EXPECT_EQ(value >> 16, TestBenchBase::kMac[2 * word] |
                                 TestBenchBase::kMac[2 * word + 1] << 8);
    }
  }
  EXPECT_EQ(sum, 0xbaba);
  bench.Write(kEerd, 0x3fff << 2 | kEerdStart);
  EXPECT_EQ(bench.Read(kEerd) >> 16, 0xffffu) << "beyond the NVM";
}

TYPED_TEST(Registers, ReceiveAddressComesFromNvm) {
  TypeParam bench;
  EXPECT_EQ(bench.Read(kRal0), 0x12005452u);
  EXPECT_EQ(bench.Read(kRah0), 0x5634u | kRahValid);
  bench.Write(kRal0, 0);
  bench.Write(kCtrl, kCtrlRst);
  EXPECT_EQ(bench.Read(kRal0), 0x12005452u) << "and again after a reset";
}

TYPED_TEST(Registers, PhyAnswersOverMdic) {
  TypeParam bench;
  const auto mdic = [&bench](uint32_t command) {
    bench.Write(kMdic, command);
    return bench.Read(kMdic);
  };
  const uint32_t id = mdic(kMdicRead | 1 << 21 | 2 << 16);
  EXPECT_EQ(id & 0xffff, TypeParam::kPhyId1);
  EXPECT_TRUE(id & kMdicReady);
  EXPECT_TRUE(mdic(kMdicRead | 1 << 21 | 1 << 16) & 0x4) << "link";
  mdic(kMdicWrite | 1 << 21 | 4 << 16 | 0x0123);
  EXPECT_EQ(mdic(kMdicRead | 1 << 21 | 4 << 16) & 0xffff, 0x0123u);
  mdic(kMdicWrite | 1 << 21 | 2 << 16 | 0xffff);
  EXPECT_EQ(mdic(kMdicRead | 1 << 21 | 2 << 16) & 0xffff, TypeParam::kPhyId1);
  mdic(kMdicWrite | 1 << 21 | 0 << 16 | 0x9140);
  EXPECT_EQ(mdic(kMdicRead | 1 << 21) & 0x8000, 0u) << "reset clears itself";
  EXPECT_TRUE(mdic(kMdicRead | 2 << 21) & kMdicError) << "no PHY 2";
}

TYPED_TEST(Registers, SemaphoreIsTakenByReading) {
  TypeParam bench;
  EXPECT_EQ(bench.Read(kSwsm) & 1, 0u);
  EXPECT_EQ(bench.Read(kSwsm) & 1, 1u);
  bench.Write(kSwsm, 0);
  EXPECT_EQ(bench.Read(kSwsm) & 1, 0u);
}

TYPED_TEST(Registers, StatisticsOf64BitsClearWithTheirHighHalf) {
  TypeParam bench;
  bench.BringUp();
  bench.PostRx(8);
  bench.nic->Receive(TestFrame(96));
  EXPECT_EQ(bench.Read(kGorcl), 100u);
  EXPECT_EQ(bench.Read(kGorcl), 100u);
  EXPECT_EQ(bench.Read(kGorcl + 4), 0u);
  EXPECT_EQ(bench.Read(kGorcl), 0u);
}

TYPED_TEST(Link, FollowsSluWithAnInterrupt) {
  TypeParam bench;
  EXPECT_FALSE(bench.Read(kStatus) & kStatusLu);
  bench.Write(kCtrl, kCtrlFd | kCtrlSlu);
  EXPECT_TRUE(bench.Read(kStatus) & kStatusLu);
  EXPECT_TRUE(bench.Read(bench.at.icr) & kIcrLsc);
  EXPECT_FALSE(bench.Read(bench.at.icr) & kIcrLsc);
  bench.Write(kCtrl, kCtrlFd);
  EXPECT_FALSE(bench.Read(kStatus) & kStatusLu);
  EXPECT_TRUE(bench.Read(bench.at.icr) & kIcrLsc);
}

TYPED_TEST(Link, GoesOnThroughAMacResetButNotAPhyReset) {
  TypeParam bench;
  bench.Write(kCtrl, kCtrlSlu);
  bench.Write(kCtrl, kCtrlSlu | kCtrlRst);
  EXPECT_FALSE(bench.Read(kCtrl) & kCtrlRst) << "clears itself";
  bench.Write(kCtrl, kCtrlSlu);
  EXPECT_TRUE(bench.Read(kStatus) & kStatusLu) << "no negotiation";

  bench.Write(kCtrl, kCtrlSlu | kCtrlPhyRst);
  EXPECT_FALSE(bench.Read(kStatus) & kStatusLu);
  bench.Write(kCtrl, kCtrlSlu);
  EXPECT_FALSE(bench.Read(kStatus) & kStatusLu);
  while (!bench.nic->link_up()) bench.loop->RunOnce(1000);
  EXPECT_TRUE(bench.Read(kStatus) & kStatusLu);
}

TYPED_TEST(Reset, BringsEveryRegisterBack) {
  TypeParam fresh;
  TypeParam bench;
  bench.BringUp();
  bench.PostRx(8);
  bench.nic->Receive(TestFrame(64));
  bench.Write(bench.at.ims, ~0u);
  bench.Write(bench.at.unmask_causes, ~0u);
  bench.Write(bench.at.eitr0, 1000);
  bench.nic->Reset();
  // Cleared by software once, and not set again: the PHY was not reset.
  for (uint32_t offset = 0; offset < kBar0Bytes; offset += 4) {
    ASSERT_EQ(bench.Read(offset), fresh.Read(offset)) << std::hex << offset;
  }
  EXPECT_EQ(bench.counters.resets, 1u);
  EXPECT_EQ(bench.counters.rx_frames, 1u) << "the witness goes on counting";
}

TYPED_TEST(Reset, S4_StopsDma) {
  TypeParam bench;
  bench.BringUp();
  bench.PostRx(8);
  bench.QueueTx(TestFrame(64), kTxEop | kTxRs);
  bench.nic->Reset();
  EXPECT_EQ(bench.ReadConfig(4) & 4, 0u) << "bus mastering is off";
  bench.RingTx();
  bench.nic->Receive(TestFrame(64));
  EXPECT_TRUE(bench.network.sent.empty());
  EXPECT_EQ(bench.RxStatus(0), 0u);
}

TYPED_TEST(ConfigSpaceTest, SaysWhatItIs) {
  TypeParam bench;
  EXPECT_EQ(bench.ReadConfig(0), bench.at.pci_id);
  EXPECT_EQ(bench.ReadConfig(8), bench.at.pci_class);
  // Sizes of the BARs.
  for (const auto& [bar, bytes] :
       {std::pair<uint32_t, uint32_t>{0x10, kBar0Bytes}, {0x1c, kBar3Bytes}}) {
    bench.WriteConfig(bar, ~0u);
    EXPECT_EQ(~bench.ReadConfig(bar) + 1, bytes);
  }
  bench.WriteConfig(0x14, ~0u);
  EXPECT_EQ(bench.ReadConfig(0x14), 0u) << "no BAR 1";
  bench.WriteConfig(0, 0);
  EXPECT_EQ(bench.ReadConfig(0), bench.at.pci_id) << "read-only";
}

TYPED_TEST(ConfigSpaceTest, CapabilitiesEndAndAreTheFour) {
  TypeParam bench;
  std::vector<uint32_t> ids;
  uint32_t at = bench.ReadConfig(0x34) & 0xff;
  for (int i = 0; at != 0 && i < 48; ++i) {
    const uint32_t header = bench.ReadConfig(at);
    ids.push_back(header & 0xff);
    at = header >> 8 & 0xff;
  }
  EXPECT_EQ(ids, (std::vector<uint32_t>{0x01, 0x05, 0x10, 0x11}));
  // MSI-X: in BAR 3.
  EXPECT_EQ(bench.ReadConfig(bench.at.msix) >> 16 & 0x7ff,
            bench.at.msix_vectors - 1);
  EXPECT_EQ(bench.ReadConfig(bench.at.msix + 4), 3u);
  EXPECT_EQ(bench.ReadConfig(bench.at.msix + 8), 0x2003u);
  // Device serial number.
  EXPECT_EQ(bench.ReadConfig(0x100) >> 20, 0x140u);
  EXPECT_EQ(bench.ReadConfig(0x140) & 0xffff, 3u);
  EXPECT_EQ(bench.ReadConfig(0x148), 0x525400ffu);
  EXPECT_EQ(bench.ReadConfig(0x144), 0xff123456u);
}

TYPED_TEST(ConfigSpaceTest, LeavingD3Resets) {
  TypeParam bench;
  bench.Write(bench.at.rdbal + 4, 7);
  bench.WriteConfig(bench.at.power_management + 4, 3);
  bench.WriteConfig(bench.at.power_management + 4, 0);
  EXPECT_EQ(bench.Read(bench.at.rdbal + 4), 0u);
}

}  // namespace
}  // namespace bulkhead::nic_model::intel
