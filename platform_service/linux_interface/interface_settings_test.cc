// Shows that an interface that went and came back has what it had, on veth
// pairs of the test's own: a pair that is deleted and made anew stands for a
// card whose driver gave it up and took it again.
#include "platform_service/linux_interface/interface_settings.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "platform_service/linux_interface/network_namespace.h"
#include "platform_service/linux_interface/testing/veth_lab.h"

namespace bulkhead::platform {
namespace {

class InterfaceSettingsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!lab_.usable()) GTEST_SKIP() << "needs root and `ip netns`";
    ASSERT_TRUE(lab_.Pair(0, "left", 1, "right"));
  }
  void Anew() {
    ASSERT_TRUE(lab_.Ip(0, "link del left"));
    // Takes an index, so that the new one has another.
    ++made_;
    ASSERT_TRUE(
        lab_.Pair(0, absl::StrCat("a", made_), 0, absl::StrCat("b", made_)));
    ASSERT_TRUE(lab_.Pair(0, "left", 1, "right"));
  }
  InterfaceSettings Read() {
    InterfaceSettings settings;
    EXPECT_TRUE(InNamespace(lab_.name(0), [&] {
                  auto read = ReadSettings("left");
                  if (read.ok()) settings = *std::move(read);
                  return read.status();
                }).ok());
    return settings;
  }
  absl::Status Apply(const InterfaceSettings& settings) {
    return InNamespace(lab_.name(0),
                       [&] { return ApplySettings(settings, "left"); });
  }
  // `ip ARGUMENTS` says so.
  bool Says(const std::string& arguments, const std::string& pattern) {
    return lab_.In(0, absl::StrCat("sh -c 'ip ", arguments, " | grep -q \"",
                                   pattern, "\"'"));
  }

  testing::VethLab lab_{2};
  int made_ = 0;
};

TEST_F(InterfaceSettingsTest, S10_WhatTheMachineHadConfiguredIsThereAgain) {
  for (const char* arguments :
       {"link set left mtu 1400 address 02:00:00:00:00:77", "link set left up",
        "addr add 10.1.0.2/24 dev left", "addr add 10.1.0.3/24 dev left",
        "addr add fd00::2/64 dev left nodad",
        "route add default via 10.1.0.1 metric 50",
        "route add 10.9.0.0/16 dev left",
        "-6 route add fd01::/64 via fd00::1"}) {
    ASSERT_TRUE(lab_.Ip(0, arguments)) << arguments;
  }
  const InterfaceSettings before = Read();
  EXPECT_EQ(before.addresses.size(), 3u);
  EXPECT_EQ(before.routes.size(), 3u);
  Anew();
  ASSERT_FALSE(Says("addr show left", "10.1.0.2"));
  const absl::Status applied = Apply(before);
  EXPECT_TRUE(applied.ok()) << applied;
  for (const auto& [arguments, pattern] :
       {std::pair{"link show left", "mtu 1400"},
        {"link show left", "02:00:00:00:00:77"},
        {"link show left", "[<,]UP[,>]"},
        {"addr show left", "inet 10.1.0.2/24"},
        {"addr show left", "inet 10.1.0.3/24"},
        {"addr show left", "inet6 fd00::2/64"},
        {"route", "default via 10.1.0.1 dev left metric 50"},
        {"route", "10.9.0.0/16 dev left"},
        {"-6 route", "fd01::/64 via fd00::1 dev left"}}) {
    EXPECT_TRUE(Says(arguments, pattern)) << arguments << ": " << pattern;
  }
}

TEST_F(InterfaceSettingsTest, S10_ItsBridgeHasItAgain) {
  ASSERT_TRUE(lab_.Ip(0, "link add bridge type bridge"));
  ASSERT_TRUE(lab_.Ip(0, "link set left master bridge"));
  const InterfaceSettings before = Read();
  EXPECT_EQ(before.master, "bridge");
  Anew();
  EXPECT_TRUE(Apply(before).ok());
  EXPECT_TRUE(Says("link show left", "master bridge"));
  // The bridge is gone as well: the rest is restored all the same.
  ASSERT_TRUE(lab_.Ip(0, "addr add 10.1.0.2/24 dev left"));
  const InterfaceSettings more = Read();
  ASSERT_TRUE(lab_.Ip(0, "link del bridge"));
  Anew();
  EXPECT_TRUE(absl::IsNotFound(Apply(more)));
  EXPECT_TRUE(Says("addr show left", "10.1.0.2"));
}

TEST_F(InterfaceSettingsTest, AreWrittenDownAndReadAgain) {
  ASSERT_TRUE(lab_.Ip(0, "link set left up"));
  ASSERT_TRUE(lab_.Ip(0, "addr add 10.1.0.2/24 dev left"));
  ASSERT_TRUE(lab_.Ip(0, "route add default via 10.1.0.1"));
  const InterfaceSettings before = Read();
  InterfaceSettings after;
  for (const absl::string_view line :
       absl::StrSplit(SettingsText(before), '\n', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> entry =
        absl::StrSplit(line, absl::MaxSplits('=', 1));
    EXPECT_TRUE(ParseSetting(entry.first, entry.second, &after)) << line;
  }
  EXPECT_EQ(after, before);
}

TEST(InterfaceSettings, OnlyWhatWeWroteIsASetting) {
  InterfaceSettings settings;
  for (const auto& [key, value] :
       {std::pair{"mtu", "x"},
        {"mac", "0200"},
        {"master", "a-name-of-16-chrs"},
        {"interface_up", "2"},
        {"ip_address", ""},
        {"ip_address", "zz"},
        {"route", "00112233445566778899aabbccddeeff"},
        {"more", "1"}}) {
    EXPECT_FALSE(ParseSetting(key, value, &settings)) << key;
  }
}

}  // namespace
}  // namespace bulkhead::platform
