// Shows that a ring is heard once, that old rings are not, and that the bells
// are left as they were.
#include "platform_service/instances/traffic_watch.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>

namespace bulkhead::platform {
namespace {

class TrafficWatchTest : public ::testing::Test {
 protected:
  static void Ring(int bell) {
    const uint64_t one = 1;
    ASSERT_EQ(::write(bell, &one, sizeof(one)), ssize_t{sizeof(one)});
  }
  absl::Status Arm() { return watch_.Arm(std::array{a_.get(), b_.get()}); }
  int Heard() {
    for (int i = 0; i < 3; ++i) loop_->RunOnce(0);
    return rung_;
  }

  std::unique_ptr<EventLoop> loop_ = *EventLoop::Create();
  UniqueFd a_{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
  UniqueFd b_{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
  int rung_ = 0;
  TrafficWatch watch_{*loop_, [this] { ++rung_; }};
};

TEST_F(TrafficWatchTest, HearsTheFirstRingOnly) {
  ASSERT_TRUE(Arm().ok());
  EXPECT_EQ(Heard(), 0);
  Ring(b_.get());
  EXPECT_EQ(Heard(), 1);
  EXPECT_FALSE(watch_.armed());
  Ring(a_.get());
  Ring(b_.get());
  EXPECT_EQ(Heard(), 1);
}

TEST_F(TrafficWatchTest, OldRingsDoNotCount) {
  Ring(a_.get());
  Ring(b_.get());
  ASSERT_TRUE(Arm().ok());
  EXPECT_EQ(Heard(), 0);
  Ring(a_.get());
  EXPECT_EQ(Heard(), 1);
  uint64_t count = 0;
  ASSERT_EQ(::read(a_.get(), &count, sizeof(count)), ssize_t{sizeof(count)});
  EXPECT_EQ(count, 2u);
}

TEST_F(TrafficWatchTest, DisarmedHearsNothing) {
  ASSERT_TRUE(Arm().ok());
  watch_.Disarm();
  Ring(a_.get());
  EXPECT_EQ(Heard(), 0);
}

TEST_F(TrafficWatchTest, ABadDescriptorIsAnError) {
  EXPECT_FALSE(watch_.Arm(std::array{a_.get(), -1}).ok());
  EXPECT_FALSE(watch_.armed());
}

}  // namespace
}  // namespace bulkhead::platform
