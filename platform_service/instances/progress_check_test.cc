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
  for (int i = 0; i < ProgressCheck::kLeastPatience; ++i) {
    EXPECT_EQ(check.Look({true, 9, 5}, true), Verdict::kNudge) << i;
  }
  EXPECT_EQ(check.Look({true, 9, 5}, true), Verdict::kStuck);
}

// Who gives a driver's heartbeat 10 s expects pauses of the machine, in which
// frames are not acknowledged either.
TEST(ProgressCheck, IsAsPatientAsTheHeartbeat) {
  using std::chrono::milliseconds;
  EXPECT_EQ(ProgressCheck::PatienceOf(milliseconds(100), 3),
            ProgressCheck::kLeastPatience);
  const int patience = ProgressCheck::PatienceOf(milliseconds(1000), 10);
  EXPECT_EQ(patience * ProgressCheck::kInterval, milliseconds(10'000));
  ProgressCheck check;
  check.Look({true, 5, 5}, true, patience);
  for (int i = 0; i < patience; ++i) {
    EXPECT_EQ(check.Look({true, 9, 5}, true, patience), Verdict::kNudge) << i;
  }
  EXPECT_EQ(check.Look({true, 9, 5}, true, patience), Verdict::kStuck);
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

// Shows when bells tell more than looking: nothing moves, nothing waits, and
// the provider says that it sleeps; and that any change ends that.
TEST(ProgressCheck, QuietIsNothingMovesAndTheProviderSleeps) {
  const Session::Positions asleep = {true, 7, 7, 3, 2, true};
  ProgressCheck check;
  for (int i = 0; i < ProgressCheck::kQuietLooks; ++i) {
    check.Look(asleep, true);
    EXPECT_FALSE(check.quiet()) << i;
  }
  check.Look(asleep, true);
  EXPECT_TRUE(check.quiet());
  EXPECT_TRUE(check.StillQuiet(asleep));
  for (const Session::Positions& change :
       {Session::Positions{true, 8, 7, 3, 2, true},
        Session::Positions{true, 8, 8, 3, 2, true},
        Session::Positions{true, 7, 7, 4, 2, true},
        Session::Positions{true, 7, 7, 3, 3, true},
        Session::Positions{true, 7, 7, 3, 2, false}}) {
    ProgressCheck changed = check;
    EXPECT_FALSE(changed.StillQuiet(change));
    changed.Look(change, true);
    EXPECT_FALSE(changed.quiet());
  }
  Session::Positions awake = asleep;
  awake.provider_sleeps = false;
  ProgressCheck other;
  for (int i = 0; i < 100; ++i) other.Look(awake, true);
  EXPECT_FALSE(other.quiet());
}

}  // namespace
}  // namespace bulkhead::platform
