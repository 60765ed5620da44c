// Register semantics, row by row: what is written, what reads back, and what a
// read or write does besides.
#include "nic_model/82576/registers.h"

#include <cstring>

#include "gtest/gtest.h"
#include "nic_model/82576/test_bench.h"

namespace bulkhead::nic_model::i82576 {
namespace {

TEST(Registers, ReadBack) {
  const struct {
    const char* name;
    uint32_t offset, written, expected;
  } kCases[] = {
      {"RDBAL keeps 16-byte alignment", kRdbal, 0x12345678, 0x12345670},
      {"RDLEN is a multiple of 128, below 1 MiB", kRdlen, ~0u, 0xfff80},
      {"TDLEN", kTdlen, 0x1001, 0x1000},
      {"RDH has 16 bits", kRdh, 0x12345, 0x2345},
      {"TDT has 16 bits", kTdt, 0x54321, 0x4321},
      {"RDT has 16 bits", kRdt, 0x54321, 0x4321},
      {"EIMC reads as 0", kEimc, 0xff, 0},
      {"IMC reads as 0", kImc, 0xff, 0},
      {"EIAC has 25 bits", kEiac, ~0u, kEicrAll},
      {"RLPML has 14 bits", kRlpml, ~0u, 0x3fff},
      {"statistics cannot be written", kGprc, 7, 0},
      {"FWSM is firmware's", kFwsm, ~0u, 0},
      {"MTA", kMta + 4 * 127, 0xdeadbeef, 0xdeadbeef},
      {"RAL 15", kRal0 + 8 * 15, 0x11223344, 0x11223344},
      {"queue 15 is storage", kRdt + 15 * kQueueStride, 77, 77},
  };
  for (const auto& c : kCases) {
    TestBench bench;
    bench.Write(c.offset, c.written);
    EXPECT_EQ(bench.Read(c.offset), c.expected) << c.name;
  }
}

TEST(Registers, OddAccessesAreRefused) {
  TestBench bench;
  uint8_t bytes[8] = {};
  EXPECT_EQ(bench.nic->ReadRegion(0, 2, std::span(bytes, 4)), EINVAL);
  EXPECT_EQ(bench.nic->ReadRegion(0, 0, std::span(bytes, 2)), EINVAL);
  EXPECT_EQ(bench.nic->WriteRegion(0, 1, std::span(bytes, 4)), EINVAL);
  EXPECT_EQ(bench.nic->WriteRegion(3, 0, std::span(bytes, 1)), EINVAL);
  EXPECT_EQ(bench.nic->ReadRegion(0, 0, std::span(bytes, 8)), 0)
      << "two registers at once";
}

// Registers that older controllers have elsewhere are the same registers.
TEST(Registers, Aliases) {
  const struct {
    uint32_t old, now;
  } kCases[] = {{0x2800, kRdbal},
                {0x280c, kSrrctl},
                {0x2818, kRdt},
                {0x2828, kRxdctl},
                {0x2b04, kRdbah + 3 * kQueueStride},
                {0x3808, kTdlen},
                {0x3828, kTxdctl},
                {0x3a00, kTdbal + 2 * kQueueStride},
                {0x0004, kCtrl}};
  for (const auto& c : kCases) {
    TestBench bench;
    bench.Write(c.old, 0x80);
    EXPECT_EQ(bench.Read(c.now), 0x80u) << std::hex << c.old;
    EXPECT_EQ(bench.Read(c.old), 0x80u) << std::hex << c.old;
  }
  TestBench bench;
  bench.Write(0x00c8, kIcrLsc);
  EXPECT_EQ(bench.Read(kIcs), kIcrLsc);
}

TEST(Registers, ReceiveAddressComesFromNvm) {
  TestBench bench;
  EXPECT_EQ(bench.Read(kRal0), 0x12005452u);
  EXPECT_EQ(bench.Read(kRah0), 0x5634u | kRahValid);
  bench.Write(kRal0, 0);
  bench.Write(kCtrl, kCtrlRst);
  EXPECT_EQ(bench.Read(kRal0), 0x12005452u) << "and again after a reset";
}

TEST(Registers, PhyAnswersOverMdic) {
  TestBench bench;
  const auto mdic = [&bench](uint32_t command) {
    bench.Write(kMdic, command);
    return bench.Read(kMdic);
  };
  const uint32_t id = mdic(kMdicRead | 1 << 21 | 2 << 16);
  EXPECT_EQ(id & 0xffff, 0x02a8u);
  EXPECT_TRUE(id & kMdicReady);
  EXPECT_TRUE(mdic(kMdicRead | 1 << 21 | 1 << 16) & 0x4) << "link";
  mdic(kMdicWrite | 1 << 21 | 4 << 16 | 0x0123);
  EXPECT_EQ(mdic(kMdicRead | 1 << 21 | 4 << 16) & 0xffff, 0x0123u);
  mdic(kMdicWrite | 1 << 21 | 2 << 16 | 0xffff);
  EXPECT_EQ(mdic(kMdicRead | 1 << 21 | 2 << 16) & 0xffff, 0x02a8u);
  mdic(kMdicWrite | 1 << 21 | 0 << 16 | 0x9140);
  EXPECT_EQ(mdic(kMdicRead | 1 << 21) & 0x8000, 0u) << "reset clears itself";
  EXPECT_TRUE(mdic(kMdicRead | 2 << 21) & kMdicError) << "no PHY 2";
}

TEST(Registers, SemaphoreIsTakenByReading) {
  TestBench bench;
  EXPECT_EQ(bench.Read(kSwsm) & 1, 0u);
  EXPECT_EQ(bench.Read(kSwsm) & 1, 1u);
  bench.Write(kSwsm, 0);
  EXPECT_EQ(bench.Read(kSwsm) & 1, 0u);
}

TEST(Registers, StatisticsOf64BitsClearWithTheirHighHalf) {
  TestBench bench;
  bench.BringUp();
  bench.PostRx(8);
  bench.nic->Receive(TestFrame(96));
  EXPECT_EQ(bench.Read(kGorcl), 100u);
  EXPECT_EQ(bench.Read(kGorcl), 100u);
  EXPECT_EQ(bench.Read(kGorcl + 4), 0u);
  EXPECT_EQ(bench.Read(kGorcl), 0u);
}

TEST(Link, FollowsSluWithAnInterrupt) {
  TestBench bench;
  EXPECT_FALSE(bench.Read(kStatus) & kStatusLu);
  bench.Write(kCtrl, kCtrlFd | kCtrlSlu);
  EXPECT_TRUE(bench.Read(kStatus) & kStatusLu);
  EXPECT_TRUE(bench.Read(kIcr) & kIcrLsc);
  EXPECT_FALSE(bench.Read(kIcr) & kIcrLsc);
  bench.Write(kCtrl, kCtrlFd);
  EXPECT_FALSE(bench.Read(kStatus) & kStatusLu);
  EXPECT_TRUE(bench.Read(kIcr) & kIcrLsc);
}

TEST(Link, GoesOnThroughAMacResetButNotAPhyReset) {
  TestBench bench;
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

TEST(Reset, BringsEveryRegisterBack) {
  TestBench fresh;
  TestBench bench;
  bench.BringUp();
  bench.PostRx(8);
  bench.nic->Receive(TestFrame(64));
  bench.Write(kIms, kIcrAll);
  bench.Write(kEims, kEicrAll);
  bench.Write(kEitr0, 1000);
  bench.nic->Reset();
  // Cleared by software once, and not set again: the PHY was not reset.
  for (uint32_t offset = 0; offset < kBar0Bytes; offset += 4) {
    ASSERT_EQ(bench.Read(offset), fresh.Read(offset)) << std::hex << offset;
  }
  EXPECT_EQ(bench.counters.resets, 1u);
  EXPECT_EQ(bench.counters.rx_frames, 1u) << "the witness goes on counting";
}

TEST(Reset, S4_StopsDma) {
  TestBench bench;
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

TEST(ConfigSpace, LooksLikeAn82576) {
  TestBench bench;
  EXPECT_EQ(bench.ReadConfig(0), 0x10c98086u);
  EXPECT_EQ(bench.ReadConfig(8), 0x02000001u);
  // Sizes of the BARs.
  for (const auto& [bar, bytes] :
       {std::pair<uint32_t, uint32_t>{0x10, kBar0Bytes}, {0x1c, kBar3Bytes}}) {
    bench.WriteConfig(bar, ~0u);
    EXPECT_EQ(~bench.ReadConfig(bar) + 1, bytes);
  }
  bench.WriteConfig(0x14, ~0u);
  EXPECT_EQ(bench.ReadConfig(0x14), 0u) << "no BAR 1";
  bench.WriteConfig(0, 0);
  EXPECT_EQ(bench.ReadConfig(0), 0x10c98086u) << "read-only";
}

TEST(ConfigSpace, CapabilitiesEndAndAreTheFour) {
  TestBench bench;
  std::vector<uint32_t> ids;
  uint32_t at = bench.ReadConfig(0x34) & 0xff;
  for (int i = 0; at != 0 && i < 48; ++i) {
    const uint32_t header = bench.ReadConfig(at);
    ids.push_back(header & 0xff);
    at = header >> 8 & 0xff;
  }
  EXPECT_EQ(ids, (std::vector<uint32_t>{0x01, 0x05, 0x10, 0x11}));
  // MSI-X: ten vectors, in BAR 3.
  EXPECT_EQ(bench.ReadConfig(0x70) >> 16 & 0x7ff, 9u);
  EXPECT_EQ(bench.ReadConfig(0x74), 3u);
  EXPECT_EQ(bench.ReadConfig(0x78), 0x2003u);
  // Device serial number.
  EXPECT_EQ(bench.ReadConfig(0x100) >> 20, 0x140u);
  EXPECT_EQ(bench.ReadConfig(0x140) & 0xffff, 3u);
  EXPECT_EQ(bench.ReadConfig(0x148), 0x525400ffu);
  EXPECT_EQ(bench.ReadConfig(0x144), 0xff123456u);
}

TEST(ConfigSpace, LeavingD3Resets) {
  TestBench bench;
  bench.Write(kRdbah, 7);
  bench.WriteConfig(0x44, 3);
  bench.WriteConfig(0x44, 0);
  EXPECT_EQ(bench.Read(kRdbah), 0u);
}

TEST(Faults, AllOnesReadsAsRemoved) {
  Faults faults;
  faults.all_ones = true;
  TestBench bench(faults);
  EXPECT_EQ(bench.Read(kStatus), ~0u);
  EXPECT_EQ(bench.ReadConfig(0), ~0u);
}

TEST(Faults, ResetNeverEnds) {
  Faults faults;
  faults.reset_never_ends = true;
  TestBench bench(faults);
  bench.Write(kCtrl, kCtrlRst);
  EXPECT_TRUE(bench.Read(kCtrl) & kCtrlRst);
}

TEST(Faults, S3_StrayDmaReachesNothing) {
  Faults faults;
  faults.stray_dma = true;
  TestBench bench(faults);
  bench.BringUp();
  bench.PostRx(4);
  bench.nic->Receive(TestFrame(64));
  EXPECT_EQ(bench.counters.dma_faults, 1u);
  EXPECT_EQ(bench.counters.rx_frames, 1u) << "the frame itself arrives";
}

TEST(Faults, AbsurdBarCannotBeReached) {
  Faults faults;
  faults.absurd_bar = true;
  TestBench bench(faults);
  EXPECT_EQ(bench.nic->Region(0).bytes, uint64_t{1} << 62);
  uint8_t word[4];
  EXPECT_EQ(bench.nic->ReadRegion(0, kBar0Bytes, word), EINVAL);
  EXPECT_EQ(bench.nic->WriteRegion(0, uint64_t{1} << 40, word), EINVAL);
}

TEST(Faults, IdentityChanges) {
  Faults faults;
  faults.identity_change = true;
  TestBench bench(faults);
  const uint32_t before = bench.Read(kRah0);
  bench.Write(kCtrl, kCtrlRst);
  EXPECT_NE(bench.Read(kRah0), before);
}

TEST(Faults, CapabilitiesLoop) {
  Faults faults;
  faults.looping_capabilities = true;
  TestBench bench(faults);
  uint32_t at = bench.ReadConfig(0x34) & 0xff;
  for (int i = 0; i < 100; ++i) at = bench.ReadConfig(at) >> 8 & 0xff;
  EXPECT_NE(at, 0u);
}

TEST(Faults, CompletionsComeTwice) {
  Faults faults;
  faults.complete_twice = true;
  TestBench bench(faults);
  bench.BringUp();
  bench.PostRx(4);
  bench.nic->Receive(TestFrame(64));
  bench.Quad(TestBench::kRxRing + 8) = 0;  // Taken by the driver.
  bench.nic->Receive(TestFrame(64));
  EXPECT_TRUE(bench.RxStatus(0) & kRxDd);
}

TEST(Faults, DescriptorsThatLie) {
  Faults faults;
  faults.length_beyond_buffer = true;
  TestBench lies(faults);
  lies.BringUp();
  lies.PostRx(4);
  lies.nic->Receive(TestFrame(64));
  EXPECT_GT(lies.RxStatus(0) >> 32, TestBench::kBufferBytes);

  faults = {};
  faults.never_complete = true;
  TestBench silent(faults);
  silent.BringUp();
  silent.PostRx(4);
  silent.nic->Receive(TestFrame(64));
  silent.QueueTx(TestFrame(64), kTxEop | kTxRs);
  silent.RingTx();
  EXPECT_EQ(silent.RxStatus(0), 0u);
  EXPECT_FALSE(silent.TxStatus(0) & kTxDd);
  EXPECT_EQ(silent.Read(kTdh), 1u);

  faults = {};
  faults.corrupt_payload = true;
  TestBench corrupt(faults);
  corrupt.BringUp();
  corrupt.PostRx(4);
  corrupt.nic->Receive(TestFrame(64));
  EXPECT_NE(corrupt.Bytes(corrupt.RxBuffer(0), 64), TestFrame(64));
}

}  // namespace
}  // namespace bulkhead::nic_model::i82576
