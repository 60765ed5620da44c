#include "supervisor/heartbeat.h"

#include "gtest/gtest.h"

namespace bulkhead::supervisor {
namespace {

constexpr uint64_t kIntervalNs = 100'000'000;
constexpr uint64_t kQuietTicks =
    Heartbeat::kQuiet / std::chrono::milliseconds(100);

class HeartbeatTest : public ::testing::Test {
 protected:
  std::optional<std::string> Tick(int intervals = 1) {
    now_ns_ += intervals * kIntervalNs;
    return heartbeat_.Tick(now_ns_);
  }
  std::optional<std::string> Pong(uint64_t number, uint64_t done = 0,
                                  bool waiting = false) {
    FromChild::Pong pong;
    pong.set_number(number);
    pong.set_work_done(done);
    pong.set_work_waiting(waiting);
    return heartbeat_.HandlePong(pong, now_ns_);
  }

  uint64_t now_ns_ = 1'000'000'000;
  Heartbeat heartbeat_{Heartbeat::LimitsOf({}), now_ns_};
};

// Shows that the third tick without an answer to the ping before is a hang,
// with the time since the last sign of life.
TEST_F(HeartbeatTest, SilenceIsAHang) {
  EXPECT_FALSE(Tick());
  EXPECT_FALSE(Pong(1));
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(Tick()) << i;
  EXPECT_EQ(Tick().value_or(""), "hung: no heartbeat for 400 ms");
}

// Shows that answers start the count anew.
TEST_F(HeartbeatTest, AnswerForgivesMisses) {
  for (uint64_t number = 1; number < 50; number += 3) {
    for (int i = 0; i < 3; ++i) EXPECT_FALSE(Tick());
    EXPECT_FALSE(Pong(number + 2));
  }
}

// Shows that a supervisor that was kept from running itself blames nobody.
TEST_F(HeartbeatTest, LateTickIsNoMiss) {
  EXPECT_FALSE(Tick());
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(Tick(5));
}

// Shows that answers to no question, old or invented, are no sign of life.
TEST_F(HeartbeatTest, InventedAnswersDoNotCount) {
  EXPECT_FALSE(Tick());
  EXPECT_FALSE(Pong(1));
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(Tick());
    Pong(1);
    Pong(~uint64_t{0});
    Pong(0);
  }
  EXPECT_TRUE(Tick());
}

// Shows that work that waits for three intervals with nothing done is a hang,
// and that done work or an idle moment between is none.
TEST_F(HeartbeatTest, WaitingWithNothingDone) {
  uint64_t number = 0;
  const auto round = [&](uint64_t done, bool waiting) {
    EXPECT_FALSE(Tick());
    return Pong(++number, done, waiting);
  };
  EXPECT_FALSE(round(5, true));
  EXPECT_FALSE(round(6, true));
  for (int i = 0; i < 2; ++i) EXPECT_FALSE(round(6, true)) << i;
  EXPECT_FALSE(round(7, true));
  for (int i = 0; i < 2; ++i) EXPECT_FALSE(round(7, true)) << i;
  EXPECT_FALSE(round(7, false));
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(round(7, true)) << i;
  EXPECT_EQ(round(7, true).value_or(""),
            "hung: work waits, none done in 300 ms");
}

// Shows that an interval in which the process got no CPU is no miss, and that
// this is not forgiven for ever.
TEST_F(HeartbeatTest, StarvedIsNotHung) {
  const auto starved_tick = [&] {
    now_ns_ += kIntervalNs;
    return heartbeat_.Tick(now_ns_, /*starved=*/true);
  };
  EXPECT_FALSE(Tick());
  for (int i = 0; i < 30; ++i) EXPECT_FALSE(starved_tick()) << i;
  EXPECT_FALSE(Tick());
  EXPECT_FALSE(starved_tick());
  EXPECT_TRUE(starved_tick());
}

// Shows that a process without work is asked a hundredth as often after a quiet
// second, and at once, then at the full pace, when work is announced.
TEST_F(HeartbeatTest, RestsWithoutWork) {
  for (uint64_t number = 1; number <= kQuietTicks; ++number) {
    EXPECT_FALSE(heartbeat_.rests());
    EXPECT_EQ(heartbeat_.due_ns(), now_ns_ + kIntervalNs);
    EXPECT_FALSE(Tick());
    EXPECT_FALSE(Pong(number));
  }
  EXPECT_TRUE(heartbeat_.rests());
  EXPECT_GE(heartbeat_.due_ns(), now_ns_ + 50 * kIntervalNs);
  EXPECT_LE(heartbeat_.due_ns(), now_ns_ + 150 * kIntervalNs);
  heartbeat_.Attend(now_ns_);
  EXPECT_EQ(heartbeat_.due_ns(), now_ns_);
  EXPECT_FALSE(heartbeat_.Tick(now_ns_));
  EXPECT_EQ(heartbeat_.due_ns(), now_ns_ + kIntervalNs);
}

// Shows that a resting process that does not answer is found as fast as any:
// the answer is waited for at the full pace.
TEST_F(HeartbeatTest, RestingProcessIsFoundHungAsFast) {
  for (uint64_t number = 1; number <= kQuietTicks; ++number) {
    EXPECT_FALSE(Tick());
    EXPECT_FALSE(Pong(number));
  }
  now_ns_ = heartbeat_.due_ns();
  EXPECT_FALSE(heartbeat_.Tick(now_ns_));
  for (int i = 0; i < 2; ++i) EXPECT_FALSE(Tick()) << i;
  EXPECT_TRUE(Tick());
}

// Shows that work, done or waiting, keeps a process from its rest.
TEST_F(HeartbeatTest, WorkKeepsItAwake) {
  for (uint64_t number = 1; number <= 5 * kQuietTicks; ++number) {
    EXPECT_FALSE(Tick());
    EXPECT_FALSE(Pong(number, number / 8));
    EXPECT_FALSE(heartbeat_.rests());
  }
}

// Shows that the pings of resting processes of one phase fall together, and
// those of different phases do not.
TEST_F(HeartbeatTest, RestingProcessesShareWakeUps) {
  const auto due_of = [&](uint32_t phase, uint64_t start_ns) {
    Heartbeat heartbeat({}, start_ns, phase);
    uint64_t now_ns = start_ns;
    for (uint64_t number = 1; !heartbeat.rests(); ++number) {
      now_ns = heartbeat.due_ns();
      EXPECT_FALSE(heartbeat.Tick(now_ns));
      FromChild::Pong pong;
      pong.set_number(number);
      EXPECT_FALSE(heartbeat.HandlePong(pong, now_ns + 1000));
    }
    return heartbeat.due_ns();
  };
  EXPECT_EQ(due_of(3, 1'000'000'001), due_of(3, 1'234'567'890));
  EXPECT_NE(due_of(3, 1'000'000'001), due_of(4, 1'000'000'001));
}

}  // namespace
}  // namespace bulkhead::supervisor
