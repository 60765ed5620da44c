// Shows on a played function that no reset is believed which cannot be seen,
// that the mildest that works is found and remembered, and that DMA is off
// before anything else is done.
#include "platform_service/vfio/reset_ladder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace bulkhead::platform {
namespace {

constexpr uint32_t kEnable = 0x100;
constexpr uint32_t kScratch = 0x104;
constexpr uint32_t kReset = 0x0;

// A NIC with the PCI Express capability at 0x40; it resets by what `works` has.
class FakeFunction final : public ResetTarget {
 public:
  absl::StatusOr<uint32_t> ReadConfig(uint32_t offset, uint32_t) override {
    if (gone_) return offset == 0 ? 0xffffffff : 0xffff;
    log_.push_back(absl::StrCat("config read ", offset));
    if (offset == 0) return identity_;
    if (offset == 4) return command_;
    if (offset == 6) return 0x10;
    if (offset == 0x34) return 0x40;
    if (offset == 0x40) return 0x0010;
    if (offset == 0x4a) return pending_ms_ > now_ms_ ? 0x20 : 0;
    return 0;
  }
  absl::Status WriteConfig(uint32_t offset, uint32_t, uint32_t value) override {
    if (offset == 4) command_ = value | (sticky_master_ ? 4 : 0);
    log_.push_back(absl::StrCat("config write ", offset));
    return absl::OkStatus();
  }
  absl::StatusOr<uint32_t> ReadRegister(
      const policy::RegisterPlace& place) override {
    return registers_[place.offset];
  }
  absl::Status WriteRegister(const policy::RegisterPlace& place,
                             uint32_t value) override {
    if (place.offset == kReset && (value & 1) != 0) {
      DoReset("software");
    } else {
      registers_[place.offset] = value;
    }
    return absl::OkStatus();
  }
  std::vector<std::string> Methods() override { return methods_; }
  absl::Status Reset(const std::string& method) override {
    DoReset(method);
    return absl::OkStatus();
  }
  uint64_t NowNs() override { return now_ms_ * 1'000'000; }
  void SleepMs(uint32_t ms) override { now_ms_ += ms; }

  void DoReset(const std::string& method) {
    tried_.push_back(method);
    if (works_.count(method) == 0) return;
    registers_.clear();
    if (changes_identity_) identity_ = 0x15338086;
  }

  uint32_t identity_ = 0x10d38086;
  uint32_t command_ = 6;
  uint64_t now_ms_ = 0;
  uint64_t pending_ms_ = 0;
  bool sticky_master_ = false;
  bool changes_identity_ = false;
  bool gone_ = false;
  std::map<uint32_t, uint32_t> registers_ = {{kEnable, 2}};
  std::vector<std::string> methods_ = {"pm", "bus"};
  std::set<std::string> works_ = {"software", "bus"};
  std::vector<std::string> tried_;
  std::vector<std::string> log_;
};

policy::ResetDescription Description() {
  policy::ResetDescription description;
  description.software = {{{.offset = kReset}, 1, false}};
  description.witness = {{{.offset = kEnable}, 2, 0, std::nullopt},
                         {{.offset = kScratch}, 0xff, 0, 0x5a}};
  description.within_ms = 5;
  return description;
}

class ResetLadderTest : public testing::Test {
 protected:
  absl::StatusOr<std::string> Climb() {
    ResetLadder ladder(description_, 0x8086, 0x10d3, memory_);
    return ladder.Climb(function_,
                        [this](absl::string_view kind, absl::string_view text) {
                          events_.push_back(absl::StrCat(kind, " ", text));
                        });
  }

  FakeFunction function_;
  policy::ResetDescription description_ = Description();
  ResetMemory memory_;
  std::vector<std::string> events_;
};

TEST_F(ResetLadderTest, TheMildestThatWorksIsTaken) {
  const auto rung = Climb();
  ASSERT_TRUE(rung.ok()) << rung.status();
  EXPECT_EQ(*rung, "software");
  ASSERT_EQ(events_.size(), 1u);
  EXPECT_TRUE(absl::StrContains(events_[0], "reset by software"));
  EXPECT_TRUE(absl::StrContains(events_[0], "verified"));
}

TEST_F(ResetLadderTest, S4_AResetThatReturnsSuccessAndResetsNothingIsNotOne) {
  function_.works_ = {"bus"};
  const auto rung = Climb();
  ASSERT_TRUE(rung.ok()) << rung.status();
  EXPECT_EQ(*rung, "bus");
  EXPECT_EQ(function_.tried_,
            (std::vector<std::string>{"software", "pm", "bus"}));
  EXPECT_TRUE(absl::StrContains(events_[1], "reset_failed by pm"));
  EXPECT_TRUE(absl::StrContains(events_[1], "did not reset"));
}

TEST_F(ResetLadderTest, TheNextNicOfTheModelStartsWhereTheLastOneEnded) {
  function_.works_ = {"bus"};
  ASSERT_TRUE(Climb().ok());
  function_.tried_.clear();
  function_.registers_[kEnable] = 2;
  ASSERT_TRUE(Climb().ok());
  EXPECT_EQ(function_.tried_, std::vector<std::string>{"bus"});
}

// One failed software reset must not cost every later one 100 ms and the link.
TEST_F(ResetLadderTest, WhatIsMilderIsTriedAgainAfterSomeClimbs) {
  function_.works_ = {"bus"};
  ASSERT_TRUE(Climb().ok());
  function_.works_ = {"software", "bus"};
  for (uint32_t i = 0; i < kClimbsToForget; ++i) {
    function_.registers_[kEnable] = 2;
    EXPECT_EQ(Climb().value_or(""), "bus") << i;
  }
  for (int i = 0; i < 2; ++i) {
    function_.registers_[kEnable] = 2;
    EXPECT_EQ(Climb().value_or(""), "software") << i;
  }
  // It fails again: remembered for as long.
  function_.works_ = {"bus"};
  function_.registers_[kEnable] = 2;
  EXPECT_EQ(Climb().value_or(""), "bus");
  function_.tried_.clear();
  function_.registers_[kEnable] = 2;
  ASSERT_TRUE(Climb().ok());
  EXPECT_EQ(function_.tried_, std::vector<std::string>{"bus"});
}

TEST_F(ResetLadderTest, AMarkShowsAResetOfADeviceThatWasIdle) {
  function_.registers_.clear();
  function_.works_ = {"bus"};
  const auto rung = Climb();
  ASSERT_TRUE(rung.ok());
  EXPECT_EQ(*rung, "bus");
}

TEST_F(ResetLadderTest, WhatCouldNotBeSeenIsSaidAndNotRemembered) {
  function_.registers_.clear();
  description_.witness.pop_back();
  ASSERT_TRUE(Climb().ok());
  EXPECT_TRUE(absl::StrContains(events_[0], "nothing to reset"));
  EXPECT_TRUE(memory_.empty());
}

TEST_F(ResetLadderTest, S4_WhenNoRungIsVerifiedThereIsNoDevice) {
  function_.works_ = {};
  EXPECT_FALSE(Climb().ok());
  EXPECT_EQ(events_.size(), 3u);
}

TEST_F(ResetLadderTest, AnotherDeviceAfterTheResetIsAnError) {
  function_.changes_identity_ = true;
  EXPECT_FALSE(Climb().ok());
}

TEST_F(ResetLadderTest, AMethodThatReachesBeyondTheFunctionIsNotUsed) {
  function_.methods_ = {"acpi", "cxl_bus"};
  function_.works_ = {"acpi", "cxl_bus"};
  EXPECT_FALSE(Climb().ok());
  EXPECT_EQ(function_.tried_, std::vector<std::string>{"software"});
}

TEST_F(ResetLadderTest, S4_DmaIsOffWhenItReadsAsOffAndNothingIsPending) {
  function_.pending_ms_ = 20;
  ASSERT_TRUE(ResetLadder::StopDma(function_).ok());
  EXPECT_EQ(function_.command_ & 4, 0u);
  EXPECT_EQ(function_.now_ms_, 20u);
  EXPECT_EQ(function_.log_[0], "config write 4");
  EXPECT_EQ(function_.log_[1], "config read 4");
}

TEST_F(ResetLadderTest, S4_ADeviceThatDoesNotStopIsAnError) {
  function_.sticky_master_ = true;
  EXPECT_FALSE(ResetLadder::StopDma(function_).ok());
  function_.sticky_master_ = false;
  function_.pending_ms_ = 10'000;
  EXPECT_TRUE(absl::IsDeadlineExceeded(ResetLadder::StopDma(function_)));
  function_.gone_ = true;
  EXPECT_TRUE(absl::IsUnavailable(ResetLadder::StopDma(function_)));
}

}  // namespace
}  // namespace bulkhead::platform
