// Sessions of several lanes through a whole system, sandboxes included: how
// many are granted, and what they live through.
#include <csignal>
#include <filesystem>
#include <iterator>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/functional/fixture.h"
#include "tests/recovery/bystanders.h"

namespace bulkhead::functional {
namespace {

constexpr uint32_t kLanes = 3;

class Lanes : public SystemTest {
 protected:
  void SetUp() override { Start(Scenario(kLanes), 2); }
  // Of two NICs: one with so many queues, and one with one.
  static std::string Scenario(uint32_t queues) {
    return absl::StrCat(
        "apiVersion: bulkhead/v1\n"
        "simulated:\n"
        "  - {name: port0, model: \"82576\", network: {echo: {}}}\n"
        "  - {name: port1, model: 82574l, network: {echo: {}}}\n"
        "drivers:\n"
        "  - match: {name: port0}\n"
        "    driver: igb\n"
        "    instance: many\n"
        "    standby: true\n"
        "    limits: {queues: ",
        queues,
        "}\n"
        "  - match: {name: port1}\n"
        "    driver: e1000e\n"
        "    instance: one\n"
        "clients:\n"
        "  - {label: any, may_open: [\"*\"]}\n"
        "  - {label: small, may_open: [\"*\"], memory: 1MiB}\n");
  }
  auto OpenLanes(const std::string& instance, uint32_t lanes,
                 const std::string& label = "any") {
    return Open(instance, label, {64, 64, 2048, lanes});
  }
  // A frame that no hash is made of: whichever lane sends it, it comes to lane
  // 0.
  static void ExpectEchoes(packet_stream::Session& session, uint8_t mark) {
    for (uint32_t lane = 0; lane < session.geometry().lanes; ++lane) {
      const auto sent = static_cast<uint8_t>(mark + lane);
      Send(session.lane(lane), kBroadcast, sent);
      EXPECT_EQ(Receive(session), sent) << "lane " << lane;
    }
  }
  // Lets every lane see what happened, as its thread would.
  static bool AllRecovered(packet_stream::Session& session, uint64_t times) {
    return recovery::WaitUntil([&] {
      bool all = true;
      for (uint32_t lane = 0; lane < session.geometry().lanes; ++lane) {
        EXPECT_EQ(Receive(session.lane(lane), 0), -1);
        all &= session.lane(lane).counters().recoveries >= times;
      }
      return all;
    });
  }
};

TEST_F(Lanes, AreGrantedAsFarAsTheNicHasThem) {
  auto session = OpenLanes("many", 16);
  ASSERT_TRUE(session.ok()) << session.status();
  EXPECT_EQ((*session)->geometry().lanes, kLanes);
  ASSERT_TRUE(WaitForLink(**session));
  ExpectEchoes(**session, 1);
  auto single = OpenLanes("one", 4);
  ASSERT_TRUE(single.ok()) << single.status();
  EXPECT_EQ((*single)->geometry().lanes, 1u);
  ASSERT_TRUE(WaitForLink(**single));
  ExpectEchoes(**single, 1);
}

// All lanes are charged: two are within a quota that three exceed.
TEST_F(Lanes, QuotaCountsEveryLane) {
  packet_stream::SessionGeometry geometry = {128, 64, 2048, 2};
  auto two = Open("many", "small", geometry);
  ASSERT_TRUE(two.ok()) << two.status();
  two->reset();
  geometry.lanes = 3;
  absl::Status refused;
  // The first session's memory comes back when the driver has let go.
  EXPECT_TRUE(recovery::WaitUntil([&] {
    refused = Open("many", "small", geometry).status();
    return absl::StrContains(refused.message(),
                             absl::StrCat(geometry.TotalBytes()));
  })) << refused;
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
}

// The driver has a thread for each queue, and one of a single queue has but its
// own.
TEST_F(Lanes, S5_ADriverHasAThreadForEachQueue) {
  for (const auto& [instance, threads] :
       {std::pair<const char*, size_t>{"many", kLanes}, {"one", 1}}) {
    const auto pid = system_->PidOf(instance);
    ASSERT_TRUE(pid.ok()) << pid.status();
    const std::filesystem::directory_iterator tasks(
        absl::StrCat("/proc/", *pid, "/task"));
    EXPECT_EQ(std::distance(begin(tasks), end(tasks)), ptrdiff_t(threads))
        << instance;
  }
}

// S6: drivers die, and then the platform service, and the session goes on in
// all of its lanes.
TEST_F(Lanes, S5_S6_OutliveTheDriverAndThePlatformService) {
  auto session = OpenLanes("many", kLanes);
  ASSERT_TRUE(session.ok()) << session.status();
  ASSERT_TRUE(WaitForLink(**session));
  ExpectEchoes(**session, 1);
  for (uint64_t death = 1; death <= 3; ++death) {
    ASSERT_TRUE(system_->Kill("many", SIGKILL).ok());
    ASSERT_TRUE(AllRecovered(**session, death));
    ASSERT_TRUE(WaitForLink(**session));
    ExpectEchoes(**session, static_cast<uint8_t>(10 * death));
  }
  ASSERT_TRUE(system_->Kill("platform_service", SIGKILL).ok());
  ExpectEchoes(**session, 50);
  ASSERT_TRUE(recovery::WaitUntil([&] { return api_->ListSessions().ok(); }));
  ASSERT_TRUE(system_->Kill("many", SIGKILL).ok());
  ASSERT_TRUE(AllRecovered(**session, 4));
  ASSERT_TRUE(WaitForLink(**session));
  ExpectEchoes(**session, 60);
  EXPECT_EQ(api_->ListSessions()->at(0).lanes(), kLanes);
}

// The next driver may have fewer queues than the session has lanes: the session
// is closed, and another one can be opened.
TEST_F(Lanes, FewerQueuesCloseTheSession) {
  auto session = OpenLanes("many", kLanes);
  ASSERT_TRUE(session.ok()) << session.status();
  ASSERT_TRUE(WaitForLink(**session));
  ASSERT_TRUE(api_->Apply(Scenario(1)).ok());
  ASSERT_TRUE(
      recovery::WaitUntil([&] { return api_->ListSessions()->empty(); }));
  absl::StatusOr<std::unique_ptr<packet_stream::Session>> again;
  ASSERT_TRUE(recovery::WaitUntil([&] {
    again = OpenLanes("many", kLanes);
    return again.ok();
  })) << again.status();
  EXPECT_EQ((*again)->geometry().lanes, 1u);
  ASSERT_TRUE(WaitForLink(**again));
  ExpectEchoes(**again, 1);
}

}  // namespace
}  // namespace bulkhead::functional
