// Shows which sessions count as stalled: only one with work waiting, in step,
// over a link that is up, that was woken and acknowledged nothing for long.
#include "platform_service/instances/progress_check.h"

#include <gtest/gtest.h>

namespace bulkhead::platform {
namespace {

using Verdict = ProgressCheck::Verdict;

TEST(ProgressCheck, StalledDriverIsNudgedAndThenBlamed) {
  ProgressCheck check;
  check.Look({true, 5, 5}, true);
  for (int i = 0; i < ProgressCheck::kPatience; ++i) {
    EXPECT_EQ(check.Look({true, 9, 5}, true), Verdict::kNudge) << i;
  }
  EXPECT_EQ(check.Look({true, 9, 5}, true), Verdict::kStuck);
}

TEST(ProgressCheck, OneAcknowledgementIsProgress) {
  ProgressCheck check;
  for (uint32_t i = 0; i < 100; ++i) {
    EXPECT_NE(check.Look({true, 1000000, i / 3}, true), Verdict::kStuck);
  }
}

TEST(ProgressCheck, NothingWaitsNothingIsWrong) {
  ProgressCheck check;
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(check.Look({true, 7, 7}, true), Verdict::kFine);
  }
}

TEST(ProgressCheck, LinkDownIsNoFaultOfTheDriver) {
  ProgressCheck check;
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(check.Look({true, 7, 0}, false), Verdict::kFine);
  }
}

TEST(ProgressCheck, S7_PositionsOfAnotherEpochSayNothing) {
  ProgressCheck check;
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(check.Look({false, 0xffffffff, 0}, true), Verdict::kFine);
  }
}

}  // namespace
}  // namespace bulkhead::platform
