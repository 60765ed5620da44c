#include "clients/nic_tap/carrier.h"

#include <gtest/gtest.h>

namespace bulkhead::nic_tap {
namespace {

using packet_stream::SessionState;
using packet_stream::SessionStatus;

constexpr uint64_t kMs = 1'000'000;

SessionStatus Status(SessionState state, uint32_t epoch, bool link_up) {
  SessionStatus status;
  status.state = state;
  status.epoch = epoch;
  status.link_up = link_up;
  return status;
}

// A driver's death and replacement, the link coming a while after it: the
// carrier stays.
TEST(Carrier, S6_OutlivesADriver) {
  Carrier carrier;
  EXPECT_FALSE(carrier.Update(Status(SessionState::kRecovering, 1, false), 1));
  EXPECT_TRUE(carrier.Update(Status(SessionState::kRunning, 1, true), 2));
  EXPECT_EQ(carrier.deadline_ns(), 0u);
  EXPECT_TRUE(
      carrier.Update(Status(SessionState::kRecovering, 2, false), 10 * kMs));
  EXPECT_EQ(carrier.deadline_ns(), 10 * kMs + Carrier::kHoldNs);
  EXPECT_TRUE(
      carrier.Update(Status(SessionState::kRunning, 2, false), 12 * kMs));
  EXPECT_TRUE(
      carrier.Update(Status(SessionState::kRunning, 2, true), 500 * kMs));
  EXPECT_EQ(carrier.deadline_ns(), 0u);
}

// A running driver that says that the link is down is believed at once, also
// after an earlier recovery.
TEST(Carrier, FollowsTheLink) {
  Carrier carrier;
  carrier.Update(Status(SessionState::kRecovering, 2, false), 1);
  EXPECT_TRUE(carrier.Update(Status(SessionState::kRunning, 2, true), 2));
  EXPECT_FALSE(carrier.Update(Status(SessionState::kRunning, 2, false), 3));
  EXPECT_TRUE(carrier.Update(Status(SessionState::kRunning, 2, true), 4));
}

// A driver that does not come back takes the carrier after the hold, each death
// beginning it anew; a parked instance takes it at once.
TEST(Carrier, GoesWhenNoDriverComes) {
  Carrier carrier;
  carrier.Update(Status(SessionState::kRunning, 1, true), 1);
  EXPECT_TRUE(carrier.Update(Status(SessionState::kRecovering, 2, true), kMs));
  EXPECT_TRUE(carrier.Update(Status(SessionState::kRecovering, 3, true),
                             Carrier::kHoldNs));
  EXPECT_TRUE(carrier.Update(Status(SessionState::kRecovering, 3, true),
                             Carrier::kHoldNs + 2 * kMs));
  EXPECT_FALSE(carrier.Update(Status(SessionState::kRecovering, 3, true),
                              2 * Carrier::kHoldNs));
  EXPECT_TRUE(carrier.Update(Status(SessionState::kRunning, 3, true),
                             3 * Carrier::kHoldNs));
  EXPECT_FALSE(carrier.Update(Status(SessionState::kParked, 3, true),
                              3 * Carrier::kHoldNs + 1));
}

}  // namespace
}  // namespace bulkhead::nic_tap
