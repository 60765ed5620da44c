// Shows that the demo fails when a healthy link lost a frame or an ill one lost
// frames that nobody counted, and that broken output of a child changes
// nothing.
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "clients/bulkhead/demo_links.h"
#include "clients/bulkhead/demo_traffic.h"

namespace bulkhead::cli {
namespace {

DemoLink Healthy() {
  DemoLink link = {.instance = "nic0"};
  link.result.sent = link.result.received = 100;
  return link;
}

DemoLink Killed() {
  DemoLink link = Healthy();
  link.treatment = Treatment::kKilled;
  link.fault_ns = 1000;
  link.died_ns = 1500;
  link.restarts = 1;
  link.result.lost = 5;
  link.result.indeterminate = 3;
  link.counted_drops = 2;
  link.result.first_frames_ns = {1400, 2500};
  return link;
}

TEST(DemoLink, AHealthyLinkMustLoseNothing) {
  EXPECT_EQ(Healthy().Fault(), "");
  DemoLink link = Healthy();
  link.result.lost = 1;
  EXPECT_NE(link.Fault(), "");
  link = Healthy();
  link.restarts = 1;
  EXPECT_NE(link.Fault(), "");
  link = Healthy();
  link.result.received = 0;
  EXPECT_NE(link.Fault(), "");
  link = Healthy();
  link.result.duplicated = 1;
  EXPECT_NE(link.Fault(), "");
}

TEST(DemoLink, S8_AKilledLinkMustAccountForWhatItLost) {
  EXPECT_EQ(Killed().Fault(), "");
  EXPECT_EQ(Killed().RecoveryNs(), 1000u);
  EXPECT_EQ(Killed().NoticedNs(), 500u);
  DemoLink link = Killed();
  link.result.lost = 6;
  EXPECT_NE(link.Fault(), "");
  link = Killed();
  link.result.first_frames_ns = {1400};  // Before the death.
  EXPECT_NE(link.Fault(), "");
  link = Killed();
  link.died_ns = 0;
  EXPECT_NE(link.Fault(), "");
}

TEST(DemoLinks, TablesHaveALineForEachLink) {
  std::ostringstream out;
  const Console console = {.out = out, .err = out};
  const std::vector<DemoLink> links = {Healthy(), Killed()};
  const std::string live = LiveTable(links, console);
  EXPECT_EQ(std::count(live.begin(), live.end(), '\n'), 3);
  const std::string result = ResultTable(links, console);
  EXPECT_EQ(std::count(result.begin(), result.end(), '\n'), 3);
  EXPECT_NE(result.find("kill -9"), std::string::npos);
  EXPECT_NE(ResultJson(links).find("\"ok\":true"), std::string::npos);
}

TEST(TrafficOutput, ProgressIsReadAndNonsenseIsNot) {
  LiveTraffic live;
  ReadProgressLine(
      R"({"sent":5,"received":4,"lost":1,"state":"running","new":1})", live);
  EXPECT_EQ(live.sent, 5u);
  EXPECT_EQ(live.received, 4u);
  EXPECT_EQ(live.state, "running");
  for (const char* nonsense : {"", "{", "[]", "7", "\xff"}) {
    ReadProgressLine(nonsense, live);
    EXPECT_EQ(live.sent, 5u);
  }
  ReadProgressLine(R"({"sent":"5","state":7})", live);
  EXPECT_EQ(live.sent, 0u);
  EXPECT_EQ(live.state, "");
}

TEST(TrafficOutput, ReportIsReadAndNonsenseIsNone) {
  const auto result = ReadTrafficReport(
      R"({"sent":10,"received":9,"lost":1,"indeterminate":1,
          "latency_ns":{"p50":42},
          "recoveries":[{"first_frame_ns":7},{"first_frame_ns":0},3]})");
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->sent, 10u);
  EXPECT_EQ(result->latency_p50_ns, 42u);
  EXPECT_EQ(result->first_frames_ns, (std::vector<uint64_t>{7, 0}));
  EXPECT_FALSE(ReadTrafficReport("").has_value());
  EXPECT_FALSE(ReadTrafficReport("[1]").has_value());
}

}  // namespace
}  // namespace bulkhead::cli
