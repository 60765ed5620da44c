// Shows what a command line of nic_traffic means, and that nonsense ends with
// the usage status 2 before anything is opened.
#include "clients/nic_traffic/options.h"

#include <gtest/gtest.h>

#include <vector>

namespace bulkhead::nic_traffic {
namespace {

std::optional<Options> Parse(std::vector<const char*> arguments,
                             int* exit_code = nullptr) {
  arguments.insert(arguments.begin(), "nic_traffic");
  int code = -1;
  auto options =
      ParseOptions(static_cast<int>(arguments.size()), arguments.data(), code);
  if (exit_code != nullptr) *exit_code = code;
  return options;
}

TEST(Options, Defaults) {
  const auto options = Parse({});
  ASSERT_TRUE(options.has_value());
  EXPECT_EQ(options->open.instance, "nic0");
  EXPECT_EQ(options->traffic.mode, Mode::kEcho);
  EXPECT_EQ(options->traffic.duration_ms, 5000u);
  EXPECT_EQ(options->traffic.window, 128u);
  EXPECT_NE(options->traffic.stream, 0u);
  EXPECT_EQ(options->traffic.destination, (MacAddress{2, 0, 0, 0, 0, 1}));
}

TEST(Options, CountWithoutDurationHasNoTimeLimit) {
  const auto options = Parse({"--count", "100", "--rate", "1000"});
  ASSERT_TRUE(options.has_value());
  EXPECT_EQ(options->traffic.duration_ms, 0u);
  EXPECT_EQ(options->traffic.count, 100u);
  EXPECT_EQ(options->traffic.window, 0u);
}

TEST(Options, ReceiverTakesAnyStreamAndSenderBroadcasts) {
  const auto receiver = Parse({"--mode", "receive"});
  ASSERT_TRUE(receiver.has_value());
  EXPECT_EQ(receiver->traffic.mode, Mode::kReceive);
  EXPECT_EQ(receiver->traffic.stream, 0u);
  const auto sender = Parse({"--mode", "send", "--to", "02:0a:00:ff:00:01"});
  ASSERT_TRUE(sender.has_value());
  EXPECT_EQ(sender->traffic.destination, (MacAddress{2, 0x0a, 0, 0xff, 0, 1}));
}

TEST(Options, RunDirNamesTheSocket) {
  const auto options = Parse({"--run-dir", "/somewhere"});
  ASSERT_TRUE(options.has_value());
  EXPECT_EQ(options->open.socket, "/somewhere/session.sock");
}

TEST(Options, DurationsHaveUnits) {
  EXPECT_EQ(Parse({"--duration", "2"})->traffic.duration_ms, 2000u);
  EXPECT_EQ(Parse({"--duration", "5s"})->traffic.duration_ms, 5000u);
  EXPECT_EQ(Parse({"--duration", "0.5s"})->traffic.duration_ms, 500u);
  EXPECT_EQ(Parse({"--duration", "250ms"})->traffic.duration_ms, 250u);
  EXPECT_EQ(Parse({"--duration", "2m"})->traffic.duration_ms, 120'000u);
  EXPECT_EQ(Parse({"--duration", "0"})->traffic.duration_ms, 0u);
}

TEST(Options, NonsenseIsUsage) {
  const std::vector<std::vector<const char*>> cases = {
      {"--mode", "sideways"},
      {"--rate", "-1"},
      {"--rate", "many"},
      {"--frame-bytes", "59"},
      {"--batch", "0"},
      {"--batch", "257"},
      {"--to", "02:00"},
      {"--to", "02:00:00:00:00:01:"},
      {"--tx-buffers", "100"},
      {"--frame-bytes", "4000"},
      {"--duration", "-1s"},
      {"--duration", "nan"},
      {"--duration", "1h"},
      {"--nonsense"},
      {"surplus"},
  };
  for (const auto& arguments : cases) {
    int exit_code = -1;
    EXPECT_FALSE(Parse(arguments, &exit_code).has_value()) << arguments[0];
    EXPECT_EQ(exit_code, 2) << arguments[0];
  }
}

TEST(Options, HelpIsNoFailure) {
  int exit_code = -1;
  EXPECT_FALSE(Parse({"--help"}, &exit_code).has_value());
  EXPECT_EQ(exit_code, 0);
}

}  // namespace
}  // namespace bulkhead::nic_traffic
