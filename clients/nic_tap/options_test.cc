#include "clients/nic_tap/options.h"

#include <gtest/gtest.h>

#include <vector>

namespace bulkhead::nic_tap {
namespace {

std::optional<Options> Parse(std::vector<const char*> arguments,
                             int* exit_code = nullptr) {
  arguments.insert(arguments.begin(), "nic_tap");
  int code = -1;
  auto options =
      ParseOptions(static_cast<int>(arguments.size()), arguments.data(), code);
  if (exit_code != nullptr) *exit_code = code;
  return options;
}

// Left alone, the interface is called as the instance, and frames that may have
// been sent are sent again.
TEST(Options, Defaults) {
  const auto options = Parse({"-i", "nic3"});
  ASSERT_TRUE(options.has_value());
  EXPECT_EQ(options->tap, "nic3");
  EXPECT_EQ(options->netns, "");
  EXPECT_FALSE(options->up);
  EXPECT_EQ(options->open.on_restart, packet_stream::OnRestart::kResubmit);
  EXPECT_EQ(options->open.geometry.buffer_bytes, 4096u);
}

TEST(Options, AllOfThem) {
  const auto options =
      Parse({"--instance", "nic1", "--tap", "tap7", "--netns", "lab", "--up",
             "--run-dir", "/x", "--buffers", "256", "--at-most-once"});
  ASSERT_TRUE(options.has_value());
  EXPECT_EQ(options->tap, "tap7");
  EXPECT_EQ(options->netns, "lab");
  EXPECT_TRUE(options->up);
  EXPECT_EQ(options->open.socket, "/x/session.sock");
  EXPECT_EQ(options->open.geometry.tx_buffers, 256u);
  EXPECT_EQ(options->open.on_restart,
            packet_stream::OnRestart::kCountIndeterminate);
}

// What cannot work is refused before anything is made.
TEST(Options, MistakesAreUsageErrors) {
  const std::vector<std::vector<const char*>> mistakes = {
      {"--tap", "a-name-of-sixteen"},
      {"--tap", "a/b"},
      {"--tap", ".."},
      {"--tap", "tap%d"},
      {"--buffers", "3"},
      {"--buffers", "32"},
      {"--no-such-option"}};
  for (const auto& arguments : mistakes) {
    int exit_code = 0;
    EXPECT_FALSE(Parse(arguments, &exit_code).has_value()) << arguments[0];
    EXPECT_EQ(exit_code, 2) << arguments.back();
  }
}

}  // namespace
}  // namespace bulkhead::nic_tap
