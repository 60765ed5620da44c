// Shows how the rings account for each buffer, whatever the device writes back
// and wherever the indices wrap; the test plays the device on the ring memory.
#include "nic_driver/intel/descriptor_rings.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/shared_memory.h"

namespace bulkhead::nic_driver::intel {
namespace {

constexpr uint32_t kBufferBytes = 2048;
constexpr uint64_t kErrorBit = uint64_t{1} << 31;
constexpr uint64_t kUnsentBit = uint64_t{1} << 33;
constexpr RxFormat kFormat = {.frame_errors = kErrorBit};
constexpr size_t kAllTxRoom = kTxEntries - 1 - kContextReserve;

class DescriptorRingsTest : public ::testing::Test {
 protected:
  DescriptorRingsTest() {
    const UniqueFd fd = *CreateSealedMemory("rings", kRingBytes);
    memory_ = DmaMemory(
        *Mapping::MapSealed(fd.get(), kRingBytes, Access::kReadWrite), 0);
    rx_.Attach(memory_, 0);
    tx_.Attach(memory_, kRxRingBytes);
    rx_device_ = memory_.As<RxDescriptor>(0, kRxEntries);
    tx_device_ = memory_.As<TxDescriptor>(kRxRingBytes, kTxEntries);
  }

  void Refill(uint32_t first, size_t count) {
    std::vector<RxBuffer> buffers;
    for (uint32_t i = 0; i < count; ++i) {
      buffers.push_back({0x9000'0000, first + i});
    }
    rx_.Refill(buffers);
  }
  void Receive(uint32_t slot, uint16_t length, uint64_t status = rx::EOP) {
    rx_device_[slot & (kRxEntries - 1)].status =
        uint64_t{length} << 32 | rx::DD | status;
  }
  std::vector<RxPiece> Harvest() {
    std::vector<RxPiece> pieces(kBatchPieces);
    pieces.resize(rx_.Harvest(kFormat, kBufferBytes, pieces));
    return pieces;
  }

  void Put(uint32_t buffer, bool more = false) {
    tx_.Put({.iova = 1, .buffer = buffer, .length = 60, .more = more}, 0);
  }
  void Sent(uint32_t slot, uint64_t status = tx::DD) {
    tx_device_[slot & (kTxEntries - 1)].command |= status;
  }
  std::vector<TxDone> Reap() {
    std::vector<TxDone> pieces(kBatchPieces);
    pieces.resize(tx_.Reap(kUnsentBit, pieces));
    return pieces;
  }

  DmaMemory memory_;
  RxRing rx_;
  TxRing tx_;
  std::span<RxDescriptor> rx_device_;
  std::span<TxDescriptor> tx_device_;
};

TEST_F(DescriptorRingsTest, RxRingWrapsAround) {
  uint32_t given = 0, taken = 0;
  for (int round = 0; round < 100; ++round) {
    const size_t room = rx_.Room();
    Refill(given, room);
    EXPECT_EQ(rx_.Room(), 0u);
    for (uint32_t i = 0; i < 61; ++i) Receive(taken + i, 60);
    const std::vector<RxPiece> pieces = Harvest();
    ASSERT_EQ(pieces.size(), 61u);
    for (const RxPiece& piece : pieces) ASSERT_EQ(piece.buffer, taken++);
    given += static_cast<uint32_t>(room);
  }
}

TEST_F(DescriptorRingsTest, HarvestsWholeFramesOnly) {
  Refill(0, 8);
  Receive(0, 60);
  Receive(1, kBufferBytes, 0);
  Receive(2, 100);
  Receive(3, kBufferBytes, 0);  // Its end has not come.
  const std::vector<RxPiece> pieces = Harvest();
  ASSERT_EQ(pieces.size(), 3u);
  EXPECT_FALSE(pieces[0].more);
  EXPECT_TRUE(pieces[1].more);
  EXPECT_FALSE(pieces[2].more);
  EXPECT_EQ(pieces[2].length, 100u);
  EXPECT_TRUE(Harvest().empty());
  Receive(4, 5);
  EXPECT_EQ(Harvest().size(), 2u);
}

// A frame that does not fit into what is left of a batch waits for the next.
TEST_F(DescriptorRingsTest, ABatchEndsBetweenFrames) {
  Refill(0, 128);
  for (uint32_t i = 0; i < 63; ++i) Receive(i, 60);
  Receive(63, kBufferBytes, 0);
  Receive(64, 60);
  EXPECT_EQ(Harvest().size(), 63u);
  EXPECT_EQ(Harvest().size(), 2u);
}

// S7: lengths beyond the buffer, of zero, and error bits make the whole frame
// bad; its buffers come back nevertheless.
TEST_F(DescriptorRingsTest, S7_BadFramesAreNotBelieved) {
  Refill(0, 16);
  Receive(0, kBufferBytes + 1);
  Receive(1, 0);
  Receive(2, 60, rx::EOP | kErrorBit);
  Receive(3, 0xffff, 0);
  Receive(4, 60);
  const std::vector<RxPiece> pieces = Harvest();
  ASSERT_EQ(pieces.size(), 5u);
  for (const RxPiece& piece : pieces) {
    EXPECT_EQ(piece.status, RxStatus::kDeviceError) << piece.buffer;
  }
}

// S7: a descriptor that the device was never given is not looked at.
TEST_F(DescriptorRingsTest, S7_OnlyWhatWasGivenComesBack) {
  Refill(0, 2);
  for (uint32_t i = 0; i < kRxEntries; ++i) Receive(i, 60);
  EXPECT_EQ(Harvest().size(), 2u);
  for (uint32_t i = 0; i < kTxEntries; ++i) Sent(i);
  EXPECT_TRUE(Reap().empty());
}

// S7: a chain without end is given up after kMaxFramePieces, and skipped until
// its end; counted once.
TEST_F(DescriptorRingsTest, S7_EndlessChainIsSkipped) {
  Refill(0, 256);
  for (uint32_t i = 0; i < 100; ++i) Receive(i, kBufferBytes, 0);
  Receive(100, 60);
  Receive(101, 60);
  std::vector<RxPiece> all;
  for (std::vector<RxPiece> pieces = Harvest(); !pieces.empty();
       pieces = Harvest()) {
    all.insert(all.end(), pieces.begin(), pieces.end());
  }
  ASSERT_EQ(all.size(), 102u);
  const auto ends = std::count_if(all.begin(), all.end(),
                                  [](const RxPiece& p) { return !p.more; });
  EXPECT_EQ(ends, 2);
  EXPECT_EQ(all[100].status, RxStatus::kTooLong);
  EXPECT_EQ(all[101].status, RxStatus::kGood);
}

TEST_F(DescriptorRingsTest, TxRingFillsUpAndWraps) {
  uint32_t submitted = 0, reaped = 0;
  for (int round = 0; round < 50; ++round) {
    while (tx_.Room() > 0) Put(submitted++);
    EXPECT_EQ(submitted - reaped, kAllTxRoom);
    for (uint32_t i = 0; i < 37; ++i) Sent(reaped + i);
    for (const TxDone& done : Reap()) ASSERT_EQ(done.buffer, reaped++);
  }
}

// A frame is reaped as a whole, once its last descriptor says so, and its
// context with it.
TEST_F(DescriptorRingsTest, ReapsFramesWithTheirContexts) {
  EXPECT_TRUE(tx_.at_frame_start());
  tx_.PutContext(0, 0);
  Put(1, true);
  EXPECT_FALSE(tx_.at_frame_start());
  Put(2);
  Put(3);
  Sent(1);
  EXPECT_TRUE(Reap().empty());
  Sent(2, tx::DD | kUnsentBit);
  const std::vector<TxDone> done = Reap();
  ASSERT_EQ(done.size(), 2u);
  EXPECT_EQ(done[0].buffer, 1u);
  EXPECT_TRUE(done[0].more);
  EXPECT_FALSE(done[0].good);
  EXPECT_EQ(done[1].buffer, 2u);
  EXPECT_FALSE(done[1].good);
  Sent(3);
  ASSERT_EQ(Reap().size(), 1u);
  EXPECT_EQ(tx_.Room(), kAllTxRoom);
}

// However a batch is made up, the room that was asked for is there.
TEST_F(DescriptorRingsTest, ContextsNeverOverrunTheRing) {
  uint32_t frames = 0;
  while (tx_.Room() >= kBatchPieces) {
    for (size_t i = 0; i < kBatchPieces; ++i) {
      tx_.PutContext(0, 0);
      Put(frames++);
    }
  }
  EXPECT_EQ(tx_.tail(), 2 * frames);
  EXPECT_LT(2 * frames, kTxEntries);
}

// S8: what a stopped device leaves is counted once, and the rings are empty.
TEST_F(DescriptorRingsTest, S8_CountsWhatIsLeft) {
  Refill(0, 8);
  Receive(0, 60);
  Receive(1, 60, 0);
  Receive(2, 60);
  tx_.PutContext(0, 0);
  Put(1);
  Put(2);
  tx_.PutContext(0, 0);
  Put(3, true);
  Put(4);
  Sent(1);
  Sent(2, tx::DD | kUnsentBit);
  const StopReport report =
      CountLeftovers(rx_, kFormat, kBufferBytes, tx_, kUnsentBit);
  EXPECT_EQ(report.rx_unclaimed_frames, 2u);
  EXPECT_EQ(report.tx_sent_frames, 1u);
  EXPECT_EQ(report.tx_sent_bytes, 60u);
  EXPECT_EQ(report.tx_unsent_frames, 2u);
  rx_.Forget();
  tx_.Forget();
  EXPECT_EQ(rx_.Room(), kRxEntries - 1);
  EXPECT_EQ(tx_.Room(), kAllTxRoom);
}

}  // namespace
}  // namespace bulkhead::nic_driver::intel
