#include "supervisor/restart_policy.h"

#include <vector>

#include "gtest/gtest.h"

namespace bulkhead::supervisor {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Shows the whole sequence with the design's numbers: at once, 10 ms, doubled
// up to 5 s, parked at the tenth.
TEST(RestartPolicy, DefaultSequence) {
  RestartPolicy policy(RestartPolicy::LimitsOf({}));
  std::vector<int64_t> backoffs;
  for (int i = 1; i < 10; ++i) {
    const auto decision = policy.AfterFailure(milliseconds(0));
    EXPECT_FALSE(decision.park) << i;
    backoffs.push_back(decision.backoff.count());
  }
  const std::vector<int64_t> expected = {0,   10,  20,  40,  80,
                                         160, 320, 640, 1280};
  EXPECT_EQ(backoffs, expected);
  EXPECT_TRUE(policy.AfterFailure(milliseconds(0)).park);
}

// Shows that the cap holds for ever, without an overflow.
TEST(RestartPolicy, CapHolds) {
  RestartPolicy::Limits limits;
  limits.park_after = 0;
  limits.backoff_max = milliseconds(100);
  RestartPolicy policy(limits);
  RestartPolicy::Decision last;
  for (int i = 0; i < 1000; ++i) last = policy.AfterFailure(seconds(0));
  EXPECT_EQ(last.backoff, milliseconds(100));
  EXPECT_FALSE(last.park);
}

// Shows that a long run makes the next failure the first, and that a run
// shorter by a nanosecond does not.
TEST(RestartPolicy, StableRunForgets) {
  RestartPolicy policy({});
  policy.AfterFailure(seconds(0));
  policy.AfterFailure(seconds(0));
  EXPECT_EQ(
      policy.AfterFailure(seconds(10) - std::chrono::nanoseconds(1)).backoff,
      milliseconds(20));
  EXPECT_EQ(policy.AfterFailure(seconds(10)).backoff, milliseconds(0));
  EXPECT_EQ(policy.failures_in_a_row(), 1u);
}

// Shows that a cap below the first step wins, and that Reset forgets.
TEST(RestartPolicy, LimitsOfSpec) {
  ProcessSpec::Restart spec;
  spec.set_backoff_first_ms(50);
  spec.set_backoff_max_ms(30);
  spec.set_park_after(3);
  RestartPolicy policy(RestartPolicy::LimitsOf(spec));
  EXPECT_EQ(policy.AfterFailure(seconds(0)).backoff, milliseconds(0));
  EXPECT_EQ(policy.AfterFailure(seconds(0)).backoff, milliseconds(30));
  policy.Reset();
  EXPECT_EQ(policy.AfterFailure(seconds(0)).backoff, milliseconds(0));
  policy.AfterFailure(seconds(0));
  EXPECT_TRUE(policy.AfterFailure(seconds(0)).park);
}

}  // namespace
}  // namespace bulkhead::supervisor
