// Programs that ask a running system for sessions: who gets one, what a
// refusal says, and that everything comes back.
#include "absl/strings/match.h"
#include "tests/functional/fixture.h"
#include "tests/recovery/bystanders.h"

namespace bulkhead::functional {
namespace {

using bench::MakeScenario;

constexpr char kClients[] =
    "clients:\n"
    "  - {label: small, may_open: [nic0], memory: 1MiB}\n"
    "  - {label: any, may_open: [nic*]}\n";

class Sessions : public SystemTest {
 protected:
  void SetUp() override { Start(MakeScenario({{.nics = 2}}, kClients), 2); }
  // Frees come when the driver has let go: opens again until it works.
  absl::Status OpenAgain(const std::string& label) {
    absl::Status status;
    recovery::WaitUntil([&] {
      status = Open("nic0", label).status();
      return status.ok();
    });
    return status;
  }
};

// A frame goes out, comes back from the echoing network, and is what it was.
TEST_F(Sessions, FrameGoesOutAndComesBack) {
  auto session = Open("nic0", "any");
  ASSERT_TRUE(session.ok()) << session.status();
  ASSERT_TRUE(WaitForLink(**session));
  for (int mark = 1; mark < 100; ++mark) {
    Send(**session, kBroadcast, static_cast<uint8_t>(mark));
    ASSERT_EQ(Receive(**session), mark);
  }
}

TEST_F(Sessions, S1_SecondClientOfANicIsToldWhoHasIt) {
  auto first = Open("nic0", "any");
  ASSERT_TRUE(first.ok()) << first.status();
  const auto second = Open("nic0", "small");
  ASSERT_FALSE(second.ok());
  EXPECT_TRUE(absl::StrContains(second.status().message(), "`any`"))
      << second.status();
  EXPECT_TRUE(Open("nic1", "any").ok());
}

TEST_F(Sessions, S10_WhatAClientHeldComesBackWhenItGoes) {
  for (int i = 0; i < 50; ++i) {
    ASSERT_OK(OpenAgain("small"));
  }
  EXPECT_TRUE(
      recovery::WaitUntil([&] { return api_->ListSessions()->empty(); }));
}

TEST_F(Sessions, QuotaRefusalSaysWhatWasAskedAndWhatIsLeft) {
  const auto refused = Open("nic0", "small", {1024, 1024, 2048});
  ASSERT_TRUE(absl::IsResourceExhausted(refused.status())) << refused.status();
  EXPECT_TRUE(absl::StrContains(refused.status().message(), "1048576"));
}

TEST_F(Sessions, LabelOpensOnlyWhatItMay) {
  EXPECT_TRUE(absl::IsPermissionDenied(Open("nic1", "small").status()));
  EXPECT_TRUE(absl::IsPermissionDenied(Open("nic0", "stranger").status()));
}

TEST_F(Sessions, UnknownInstanceIsAnsweredWithThoseThatExist) {
  const auto refused = Open("nic7", "any");
  ASSERT_TRUE(absl::IsNotFound(refused.status())) << refused.status();
  EXPECT_TRUE(absl::StrContains(refused.status().message(), "nic0, nic1"));
}

// What the client counted, what the driver counted and what the device counted
// are the same frames.
TEST_F(Sessions, S8_ThreeWitnessesCountTheSameFrames) {
  constexpr int kFrames = 500;
  auto session = Open("nic0", "any");
  ASSERT_TRUE(session.ok()) << session.status();
  ASSERT_TRUE(WaitForLink(**session));
  for (int i = 0; i < kFrames; ++i) {
    Send(**session, kBroadcast, 7);
    ASSERT_EQ(Receive(**session), 7);
  }
  const auto value = [](const auto& counters, const std::string& name) {
    for (const v1::Counter& counter : counters) {
      if (counter.name() == name) return counter.value();
    }
    return uint64_t{0};
  };
  // The driver counts a frame after it has published it.
  auto instance = system_->GetInstance("nic0");
  recovery::WaitUntil([&] {
    instance = system_->GetInstance("nic0");
    return !instance.ok() ||
           value(instance->counter(), "rx_packets") == kFrames;
  });
  ASSERT_TRUE(instance.ok()) << instance.status();
  EXPECT_EQ((*session)->counters().rx_received, uint64_t{kFrames});
  EXPECT_EQ(value(instance->counter(), "rx_packets"), uint64_t{kFrames});
  EXPECT_EQ(value(instance->counter(), "tx_packets"), uint64_t{kFrames});
  EXPECT_EQ(value(instance->model_counter(), "tx_frames"), uint64_t{kFrames});
  EXPECT_EQ(value(instance->model_counter(), "rx_frames"), uint64_t{kFrames});
  EXPECT_EQ(value(instance->model_counter(), "dma_faults"), 0u);
}

}  // namespace
}  // namespace bulkhead::functional
