// A running system is brought to another scenario: only what differs is
// touched, and traffic elsewhere does not notice.
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/functional/fixture.h"
#include "tests/recovery/bystanders.h"

namespace bulkhead::functional {
namespace {

using bench::MakeScenario;
using recovery::Bystanders;

class Apply : public SystemTest {
 protected:
  absl::Status WaitForInstances(std::vector<std::string> names) {
    return system_->WaitForStatus(
        [&names](const v1::Status& status) {
          std::vector<std::string> up;
          for (const v1::Instance& instance : status.instance()) {
            if (instance.link_up()) up.push_back(instance.name());
          }
          return up == names;
        },
        10000);
  }
};

TEST_F(Apply, SameScenarioChangesNothing) {
  const std::string scenario = MakeScenario({{.nics = 2}});
  Start(scenario, 2);
  const auto actions = api_->Apply("# A comment.\n" + scenario);
  ASSERT_TRUE(actions.ok()) << actions.status();
  EXPECT_TRUE(actions->empty()) << (*actions)[0];
}

TEST_F(Apply, S5_NicsComeAndGoWithoutDisturbingOthers) {
  Start(MakeScenario({{.nics = 2}}), 2);
  Bystanders others(*system_, {"nic0"});
  auto actions = api_->Apply(MakeScenario({{.nics = 4}}));
  ASSERT_TRUE(actions.ok()) << actions.status();
  EXPECT_EQ(actions->size(), 4u);  // Two NICs, two instances.
  ASSERT_OK(WaitForInstances({"nic0", "nic1", "nic2", "nic3"}));
  actions = api_->Apply(MakeScenario({{.nics = 1}}));
  ASSERT_TRUE(actions.ok()) << actions.status();
  ASSERT_OK(WaitForInstances({"nic0"}));
  others.ExpectUndisturbed();
}

// A NIC that leaves does not renumber the ones after it, which run, and no
// rebirth of the platform service does; the next NIC takes the free place.
TEST_F(Apply, S5_RunningNicsKeepTheirAddresses) {
  const auto addresses = [this] {
    std::map<std::string, std::string> of;
    ApiClient api(system_->run_dir());
    const auto devices = api.ListDevices();
    if (!devices.ok()) return of;
    for (const v1::Device& device : *devices)
      of[device.name()] = device.address();
    return of;
  };
  const auto scenario = [](const std::vector<std::string>& ports) {
    std::string text = "apiVersion: bulkhead/v1\nsimulated:\n";
    for (const std::string& port : ports) {
      absl::StrAppend(&text, "  - {name: ", port,
                      ", model: 82574l, network: {echo: {}}}\n");
    }
    return absl::StrCat(text,
                        "drivers:\n  - {match: {class: ethernet}, driver: "
                        "e1000e, instance: \"{name}nic\"}\n");
  };
  Start(scenario({"a", "b", "c"}), 3);
  const auto before = addresses();
  ASSERT_EQ(before.size(), 3u);
  const auto pid = system_->PidOf("cnic");
  ASSERT_TRUE(api_->Apply(scenario({"b", "c"})).ok());
  ASSERT_OK(WaitForInstances({"bnic", "cnic"}));
  ASSERT_TRUE(system_->Kill("platform_service", SIGKILL).ok());
  ASSERT_OK(system_->WaitForEvent("platform_service", "took_over", "", 10000)
                .status());
  ASSERT_OK(WaitForInstances({"bnic", "cnic"}));
  ASSERT_TRUE(
      ApiClient(system_->run_dir()).Apply(scenario({"d", "c", "b"})).ok());
  ASSERT_OK(WaitForInstances({"bnic", "cnic", "dnic"}));
  const auto after = addresses();
  EXPECT_EQ(after.at("b"), before.at("b"));
  EXPECT_EQ(after.at("c"), before.at("c"));
  EXPECT_EQ(after.at("d"), before.at("a"));
  EXPECT_EQ(system_->PidOf("cnic").value(), pid.value());
}

TEST_F(Apply, DryRunOnlySays) {
  Start(MakeScenario({{.nics = 1}}), 1);
  const auto actions = api_->Apply(MakeScenario({{.nics = 2}}), true);
  ASSERT_TRUE(actions.ok()) << actions.status();
  EXPECT_EQ(actions->size(), 2u);
  EXPECT_EQ(system_->GetStatus()->instance_size(), 1);
}

TEST_F(Apply, BadScenarioChangesNothingAndSaysWhere) {
  Start(MakeScenario({{.nics = 1}}), 1);
  const auto refused = api_->Apply("apiVersion: bulkhead/v1\ndriverz: []\n");
  ASSERT_TRUE(absl::IsInvalidArgument(refused.status())) << refused.status();
  EXPECT_TRUE(absl::StrContains(refused.status().message(),
                                "scenario.yaml:2:1: error:"))
      << refused.status();
  EXPECT_EQ(system_->GetStatus()->instance_size(), 1);
}

TEST_F(Apply, NewMtuReachesTheRunningDriver) {
  Start(MakeScenario({{.nics = 1}}), 1);
  auto session = Open("nic0");
  ASSERT_TRUE(session.ok()) << session.status();
  ASSERT_TRUE(WaitForLink(**session));
  const auto pid = system_->PidOf("nic0");
  ASSERT_TRUE(api_->Apply(MakeScenario({{.nics = 1,
                                         .rule = "    config: {mtu: 1400}\n"}}))
                  .ok());
  for (int i = 0; i < 500 && (*session)->status().mtu != 1400; ++i) {
    (*session)->Wait(10);
  }
  EXPECT_EQ((*session)->status().mtu, 1400u);
  EXPECT_EQ(system_->PidOf("nic0").value(), pid.value());
}

// Other process limits need another process, and only that; its session and
// the other NIC's traffic go on.
TEST_F(Apply, S6_NewLimitsReplaceTheDriverUnderItsSession) {
  Start(MakeScenario({{.port = "aport", .instance = "a{index}"},
                      {.port = "bport", .instance = "b{index}"}}),
        2);
  Bystanders others(*system_, {"b0"});
  auto session = Open("a0");
  ASSERT_TRUE(session.ok()) << session.status();
  ASSERT_TRUE(WaitForLink(**session));
  const auto pid = system_->PidOf("a0");
  ASSERT_TRUE(
      api_->Apply(MakeScenario({{.port = "aport",
                                 .instance = "a{index}",
                                 .rule = "    limits: {memory: 32MiB}\n"},
                                {.port = "bport", .instance = "b{index}"}}))
          .ok());
  ASSERT_OK(system_->WaitForStatus(
      [&pid](const v1::Status& status) {
        for (const v1::Instance& instance : status.instance()) {
          if (instance.name() == "a0") {
            return instance.link_up() && instance.pid() != *pid;
          }
        }
        return false;
      },
      10000));
  ASSERT_TRUE(WaitForLink(**session));
  Send(**session, kBroadcast, 42);
  EXPECT_EQ(Receive(**session), 42);
  EXPECT_TRUE((*session)->health().ok());
  others.ExpectUndisturbed();
}

// The NIC's port is plugged into something else: model restarted, instance and
// session kept.
TEST_F(Apply, S6_OtherNetworkKeepsInstanceAndSession) {
  Start(MakeScenario({{.nics = 1, .network = "{sink: {}}"}}), 1);
  auto session = Open("nic0");
  ASSERT_TRUE(session.ok()) << session.status();
  ASSERT_TRUE(WaitForLink(**session));
  Send(**session, kBroadcast, 50);
  EXPECT_EQ(Receive(**session, 50), -1);
  ASSERT_TRUE(api_->Apply(MakeScenario({{.nics = 1}})).ok());
  int heard = -1;
  for (int i = 0; i < 100 && heard != 51; ++i) {
    Send(**session, kBroadcast, 51);
    heard = Receive(**session, 100);
  }
  EXPECT_EQ(heard, 51) << system_->EventText();
  EXPECT_TRUE((*session)->health().ok());
}

// The whole state that Apply made is there after the platform service died.
TEST_F(Apply, S5_KilledPlatformServiceKnowsTheNewScenario) {
  Start(MakeScenario({{.nics = 1}}), 1);
  const std::string wanted = MakeScenario({{.nics = 3}});
  ASSERT_TRUE(api_->Apply(wanted).ok());
  ASSERT_OK(WaitForInstances({"nic0", "nic1", "nic2"}));
  ASSERT_TRUE(system_->Kill("platform_service", SIGKILL).ok());
  ASSERT_TRUE(
      system_->WaitForEvent("platform_service", "took_over", "", 10000).ok());
  ASSERT_OK(WaitForInstances({"nic0", "nic1", "nic2"}));
  const auto actions = ApiClient(system_->run_dir()).Apply(wanted);
  ASSERT_TRUE(actions.ok()) << actions.status();
  EXPECT_TRUE(actions->empty()) << (*actions)[0];
}

}  // namespace
}  // namespace bulkhead::functional
