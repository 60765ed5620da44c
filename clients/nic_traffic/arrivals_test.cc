// Shows that every frame received lands in exactly one count, and that pauses
// and recoveries are measured between the right frames.
#include "clients/nic_traffic/arrivals.h"

#include <gtest/gtest.h>

#include <vector>

namespace bulkhead::nic_traffic {
namespace {

std::vector<uint8_t> FrameOf(uint32_t stream, uint64_t sequence,
                             uint64_t sent_ns) {
  std::vector<uint8_t> frame(kMinFrameBytes);
  WriteTestFrame({.stream = stream, .sequence = sequence, .sent_ns = sent_ns},
                 {}, {}, frame);
  return frame;
}

TEST(Arrivals, S8_EachFrameHasExactlyOneCount) {
  Arrivals arrivals(5);
  arrivals.Frame(FrameOf(5, 0, 10), 20);
  arrivals.Frame(FrameOf(5, 2, 10), 20);
  arrivals.Frame(FrameOf(5, 1, 10), 20);  // Reordered.
  arrivals.Frame(FrameOf(5, 2, 10), 20);  // Duplicated.
  arrivals.Frame(FrameOf(6, 3, 10), 20);  // Another sender's.
  std::vector<uint8_t> corrupt = FrameOf(5, 4, 10);
  corrupt.back() ^= 1;
  arrivals.Frame(corrupt, 20);
  arrivals.Frame(std::vector<uint8_t>(60, 0), 20);  // No test frame at all.

  EXPECT_EQ(arrivals.received(), 4u);
  EXPECT_EQ(arrivals.window().unique(), 3u);
  EXPECT_EQ(arrivals.window().reordered(), 1u);
  EXPECT_EQ(arrivals.window().duplicated(), 1u);
  EXPECT_EQ(arrivals.corrupted(), 1u);
  EXPECT_EQ(arrivals.foreign(), 2u);
  EXPECT_EQ(arrivals.latency().max(), 10u);
}

TEST(Arrivals, AReceiverTakesTheFirstStreamItSees) {
  Arrivals arrivals(std::nullopt);
  arrivals.Frame(FrameOf(9, 0, 0), 1);
  arrivals.Frame(FrameOf(8, 1, 0), 2);
  EXPECT_EQ(arrivals.received(), 1u);
  EXPECT_EQ(arrivals.foreign(), 1u);
}

TEST(Arrivals, LongestGapIsBetweenFramesOrToTheEndThatWasExpected) {
  Arrivals arrivals(1);
  arrivals.Frame(FrameOf(1, 0, 0), 1000);
  arrivals.Frame(FrameOf(1, 1, 0), 1300);
  arrivals.Frame(FrameOf(1, 2, 0), 1400);
  EXPECT_EQ(arrivals.longest_gap_ns(), 300u);
  EXPECT_EQ(arrivals.longest_gap_at_ns(), 1000u);
  arrivals.Expected(0, 1500);
  EXPECT_EQ(arrivals.longest_gap_ns(), 300u);
  arrivals.Expected(0, 2000);
  EXPECT_EQ(arrivals.longest_gap_ns(), 600u);
  EXPECT_EQ(arrivals.longest_gap_at_ns(), 1400u);
}

TEST(Arrivals, LongGapsAreKeptWithTheirPlaces) {
  constexpr uint64_t kLong = Arrivals::kLongGapNs;
  Arrivals arrivals(1);
  arrivals.Frame(FrameOf(1, 0, 0), 1000);
  arrivals.Frame(FrameOf(1, 1, 0), 1000 + kLong - 1);
  arrivals.Frame(FrameOf(1, 2, 0), 1000 + kLong - 1 + kLong);
  ASSERT_EQ(arrivals.long_gaps().size(), 1u);
  EXPECT_EQ(arrivals.long_gaps()[0].at_ns, 1000 + kLong - 1);
  EXPECT_EQ(arrivals.long_gaps()[0].ns, kLong);
}

TEST(Arrivals, ARecoveryEndsWithTheFirstFrameAfterIt) {
  Arrivals arrivals(1);
  arrivals.Frame(FrameOf(1, 0, 0), 100);
  arrivals.Recovered(2, 150);
  arrivals.Frame(FrameOf(1, 1, 0), 180);
  arrivals.Frame(FrameOf(1, 2, 0), 190);
  arrivals.Recovered(3, 200);
  ASSERT_EQ(arrivals.recoveries().size(), 2u);
  EXPECT_EQ(arrivals.recoveries()[0].epoch, 2u);
  EXPECT_EQ(arrivals.recoveries()[0].last_frame_ns, 100u);
  EXPECT_EQ(arrivals.recoveries()[0].noticed_ns, 150u);
  EXPECT_EQ(arrivals.recoveries()[0].first_frame_ns, 180u);
  EXPECT_EQ(arrivals.recoveries()[1].first_frame_ns, 0u);
}

TEST(Arrivals, RecoveriesBeyondTheKeptOnesAreStillCounted) {
  Arrivals arrivals(1);
  for (uint64_t i = 0; i < Arrivals::kKeptRecoveries + 10; ++i) {
    arrivals.Recovered(static_cast<uint32_t>(i), i);
    arrivals.Frame(FrameOf(1, i, 0), i + 1);
  }
  EXPECT_EQ(arrivals.recovery_count(), Arrivals::kKeptRecoveries + 10);
  EXPECT_EQ(arrivals.recoveries().size(), Arrivals::kKeptRecoveries);
  EXPECT_NE(arrivals.recoveries().back().first_frame_ns, 0u);
}

}  // namespace
}  // namespace bulkhead::nic_traffic
