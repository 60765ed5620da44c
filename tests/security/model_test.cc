// Simulated NICs that misbehave: what a broken or hostile device can do to its
// driver and to the platform.
#include <gtest/gtest.h>
#include <signal.h>

#include "absl/strings/match.h"
#include "tests/bench/echo_client.h"
#include "tests/bench/system_under_test.h"
#include "tests/recovery/bystanders.h"
#include "tests/security/bin_tree.h"

namespace bulkhead::security {
namespace {

using bench::MakeScenario;
using bench::SystemUnderTest;
namespace v1 = bench::v1;

// A switch whose program is missing is told by status, with the file: nobody
// has to wait for it.
TEST(MissingProgram, OfASwitchIsNamedByStatus) {
  static constexpr char kProgram[] = "nic_model/nic_switch";
  BinTree tree;
  tree.RemoveProgram(kProgram);
  auto started = SystemUnderTest::Start(
      {.scenario = MakeScenario({{.network = "{switch: s}"}}),
       .bin_dir = tree.path()});
  ASSERT_TRUE(started.ok()) << started.status();
  const auto system = *std::move(started);
  const absl::Status told = system->WaitForStatus(
      [](const v1::Status& status) {
        return status.failure_size() == 1 &&
               absl::StrContains(status.failure(0), kProgram);
      },
      20000);
  EXPECT_TRUE(told.ok()) << told.message();
}

class DeviceFault : public ::testing::TestWithParam<const char*> {
 protected:
  // broken0 on a NIC with this fault, and a bystander.
  void SetUp() override {
    auto system = SystemUnderTest::Start(
        {.scenario = MakeScenario(
             {{.port = "bport",
               .instance = "broken{index}",
               .rule = "    restart: {park_after: 3, backoff_first: 1ms}\n",
               .faults = std::string("[") + GetParam() + "]"},
              {.port = "oport", .instance = "other{index}"}}),
         .bin_dir = ""});
    ASSERT_TRUE(system.ok()) << system.status();
    system_ = *std::move(system);
    const absl::Status up = system_->WaitForStatus(
        [](const v1::Status& status) {
          for (const v1::Instance& instance : status.instance()) {
            if (instance.name() == "other0" && instance.link_up()) return true;
          }
          return false;
        },
        20000);
    ASSERT_TRUE(up.ok()) << up.message();
    bystanders_ = std::make_unique<recovery::Bystanders>(
        *system_, std::vector<std::string>{"other0"});
  }

  // What stands at the instance, at the model's process, and in the warnings
  // about the device.
  std::string Reasons() {
    std::string reasons;
    const auto status = system_->GetStatus();
    if (!status.ok()) return "";
    for (const v1::Instance& instance : status->instance()) {
      if (instance.name() == "broken0") reasons += instance.reason();
    }
    for (const v1::Process& process : status->process()) {
      if (process.name() == "bport0") reasons += process.reason();
    }
    for (const std::string& warning : status->warning()) {
      if (absl::StrContains(warning, "bport0")) reasons += warning;
    }
    return reasons;
  }

  std::unique_ptr<SystemUnderTest> system_;
  std::unique_ptr<recovery::Bystanders> bystanders_;
};

class FatalFault : public DeviceFault {};

// Shows that a device that nobody can drive ends in a reason at its own
// instance or device, and that the other link is served and undisturbed.
TEST_P(FatalFault, S5_IsNamedAndContained) {
  EXPECT_TRUE(recovery::WaitUntil([&] { return !Reasons().empty(); }, 15000))
      << system_->EventText();
  bystanders_->ExpectUndisturbed();
}

INSTANTIATE_TEST_SUITE_P(Model, FatalFault,
                         ::testing::Values("garbage_replies", "all_ones",
                                           "reset_never_ends", "die_on_reset"),
                         [](const auto& info) { return info.param; });

class FaultUnderTraffic : public DeviceFault {};

// Shows that a device that misbehaves under traffic costs its own client frames
// and nobody else anything: what it does is survived, or its instance is
// replaced or parked; the client neither crashes nor blocks.
TEST_P(FaultUnderTraffic, S5_CostsOnlyItsOwnClient) {
  bench::EchoClient::Options options;
  options.socket = system_->session_socket();
  std::unique_ptr<bench::EchoThread> client;
  recovery::WaitUntil([&] {
    auto opened = bench::StartEcho({"broken0"}, options);
    if (opened.ok()) client = *std::move(opened);
    return opened.ok();
  });
  bystanders_->AwaitFrames(2000);
  if (client != nullptr) client->Stop(100);
  ASSERT_TRUE(system_->GetStatus().ok());
  bystanders_->ExpectUndisturbed();
}

INSTANTIATE_TEST_SUITE_P(Model, FaultUnderTraffic,
                         ::testing::Values("never_complete", "complete_twice",
                                           "length_beyond_buffer",
                                           "interrupt_storm", "no_interrupt",
                                           "link_flap", "head_backwards",
                                           "corrupt_payload"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace bulkhead::security
