// Shows that a test frame survives an echo, that any flipped bit behind the
// addresses is noticed, and that arbitrary bytes are never believed.
#include "clients/nic_traffic/test_frame.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace bulkhead::nic_traffic {
namespace {

constexpr MacAddress kTo = {2, 0, 0, 0, 0, 1};
constexpr MacAddress kFrom = {2, 0, 0, 0, 0, 2};
constexpr TestFrame kFrame = {
    .stream = 7, .sequence = 0x1234567890, .sent_ns = 99};

std::vector<uint8_t> Written(size_t bytes) {
  std::vector<uint8_t> out(bytes, 0xee);
  WriteTestFrame(kFrame, kTo, kFrom, out);
  return out;
}

TEST(TestFrame, ReadsBackWhatWasWritten) {
  for (const size_t bytes : {size_t{60}, size_t{61}, size_t{1514}}) {
    TestFrame read;
    ASSERT_EQ(ReadTestFrame(Written(bytes), read), FrameKind::kTest);
    EXPECT_EQ(read.stream, kFrame.stream);
    EXPECT_EQ(read.sequence, kFrame.sequence);
    EXPECT_EQ(read.sent_ns, kFrame.sent_ns);
  }
}

TEST(TestFrame, SurvivesSwappedAddresses) {
  std::vector<uint8_t> frame = Written(60);
  std::swap_ranges(frame.begin(), frame.begin() + 6, frame.begin() + 6);
  TestFrame read;
  EXPECT_EQ(ReadTestFrame(frame, read), FrameKind::kTest);
}

TEST(TestFrame, EveryFlippedBitIsNoticed) {
  for (size_t bit = 12 * 8; bit < 64 * 8; ++bit) {
    std::vector<uint8_t> frame = Written(64);
    frame[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    TestFrame read;
    const FrameKind expected =
        bit / 8 < 18 ? FrameKind::kForeign : FrameKind::kCorrupt;
    EXPECT_EQ(ReadTestFrame(frame, read), expected) << "bit " << bit;
  }
}

TEST(TestFrame, S7_ShortAndTruncatedFramesAreNotBelieved) {
  const std::vector<uint8_t> frame = Written(80);
  for (size_t bytes = 0; bytes < frame.size(); ++bytes) {
    TestFrame read;
    EXPECT_NE(ReadTestFrame({frame.data(), bytes}, read), FrameKind::kTest);
  }
}

}  // namespace
}  // namespace bulkhead::nic_traffic
