// Shows that a changed plan leads to the fewest actions in a workable order,
// and an unchanged one to none, on a table of changes to a plan of three NICs.
#include "platform_service/policy/plan_diff.h"

#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace bulkhead::policy {
namespace {

struct World {
  Scenario scenario;
  std::vector<pci::PciDeviceInfo> devices;
  DriverCatalog drivers = {{"e1000e", {"/bin/e1000e", "", {}}},
                           {"other", {"/bin/other", "", {}}}};

  void AddNic(int number) {
    SimulatedNic nic;
    nic.name = absl::StrCat("port", number);
    nic.model = "82574l";
    scenario.simulated.push_back(nic);
    pci::PciDeviceInfo device;
    device.source = pci::Source::kSimulated;
    device.name = nic.name;
    device.address = absl::StrCat("1000:0", number + 1, ":00.0");
    device.vendor = 0x8086;
    device.device = 0x10d3;
    device.class_code = 0x020000;
    devices.push_back(device);
  }

  Plan MakePlan(const Plan* running = nullptr) const {
    return policy::MakePlan(scenario, devices, drivers, running);
  }
};

World ThreeNics() {
  World world;
  for (int i = 0; i < 3; ++i) world.AddNic(i);
  DriverRule rule;
  rule.match.class_value = 0x020000;
  rule.match.class_mask = 0xff0000;
  rule.driver = "e1000e";
  world.scenario.path = "s.yaml";
  world.scenario.drivers = {rule};
  return world;
}

struct Case {
  const char* name;
  std::function<void(World*)> change;
  std::vector<std::string> actions;
};

class PlanDiff : public testing::TestWithParam<Case> {};

TEST_P(PlanDiff, TakesTheFewestSteps) {
  World world = ThreeNics();
  const Plan running = world.MakePlan();
  GetParam().change(&world);
  const Plan wanted = world.MakePlan(&running);
  std::vector<std::string> actions;
  for (const Action& action : DiffPlans(running, wanted)) {
    actions.push_back(ToText(action));
  }
  EXPECT_EQ(actions, GetParam().actions);
  EXPECT_TRUE(DiffPlans(wanted, wanted).empty());
}

DriverRule& FirstRule(World* world) { return world->scenario.drivers[0]; }

// A rule for port1 alone, before the rule of all.
DriverRule& RuleOfPort1(World* world) {
  DriverRule rule = FirstRule(world);
  rule.match.name = "port1";
  world->scenario.drivers.insert(world->scenario.drivers.begin(), rule);
  return FirstRule(world);
}

INSTANTIATE_TEST_SUITE_P(
    Table, PlanDiff,
    testing::Values(
        Case{"Nothing", [](World*) {}, {}},
        Case{"LinesAndPath",
             [](World* w) {
               w->scenario.path = "other.yaml";
               FirstRule(w).line.number = 99;
               w->scenario.simulated[0].line.number = 99;
             },
             {}},
        Case{"OtherAddressOfTheSameSimulatedNic",
             [](World* w) { w->devices[1].address = "1000:09:00.0"; },
             {}},
        Case{"ConfigOfAll",
             [](World* w) {
               FirstRule(w).config.mtu = 9000;
               FirstRule(w).config.promiscuous = true;
             },
             {"reconfigure nic0: mtu 1500 -> 9000, promiscuous false -> true",
              "reconfigure nic1: mtu 1500 -> 9000, promiscuous false -> true",
              "reconfigure nic2: mtu 1500 -> 9000, promiscuous false -> true"}},
        Case{"ConfigOfOne",
             [](World* w) { RuleOfPort1(w).config.interrupt_interval_us = 50; },
             {"reconfigure nic1: interrupt_interval 0us -> 50us"}},
        Case{
            "GroupsOfOne",
            [](World* w) {
              RuleOfPort1(w).config.multicast = {{{0x33, 0x33, 0, 0, 0, 0xfb}}};
            },
            {"reconfigure nic1: multicast all -> [33:33:00:00:00:fb]"}},
        Case{"ARuleThatSaysTheSame", [](World* w) { RuleOfPort1(w); }, {}},
        Case{"LimitsOfOne",
             [](World* w) {
               RuleOfPort1(w).limits = {8 << 20, {0, 1}, 64, 4};
               RuleOfPort1(w).standby = true;
             },
             {"redefine nic1: standby false -> true, memory none -> 8MiB, cpus "
              "any -> [0, 1], fds 256 -> 64, "
              "queues 1 -> 4"}},
        Case{"RestartAndHeartbeat",
             [](World* w) {
               RuleOfPort1(w).restart = {20, 6000, 3, 1000};
               FirstRule(w).heartbeat = {50, 5};
             },
             {"redefine nic1: backoff_first 10ms -> 20ms, backoff_max 5s -> "
              "6s, park_after 10 -> 3, stable_after 10s -> 1s, heartbeat "
              "interval 100ms -> 50ms, heartbeat misses 3 -> 5"}},
        Case{"DriverAndConfig",
             [](World* w) {
               RuleOfPort1(w).driver = "other";
               FirstRule(w).config.mtu = 9000;
             },
             {"redefine nic1: driver e1000e -> other, mtu 1500 -> 9000"}},
        Case{"NicGone",
             [](World* w) {
               w->scenario.simulated.erase(w->scenario.simulated.begin() + 1);
               w->devices.erase(w->devices.begin() + 1);
             },
             {"stop nic1: port1 is gone",
              "remove port1: it is no longer in the scenario"}},
        Case{"NicNew",
             [](World* w) { w->AddNic(3); },
             {"add port3: it is new in the scenario",
              "start nic3: e1000e for port3"}},
        Case{"NicExchanged",
             [](World* w) {
               w->scenario.simulated.erase(w->scenario.simulated.begin());
               w->devices.erase(w->devices.begin());
               w->AddNic(5);
             },
             {"stop nic0: its NIC is port5 instead of port0",
              "remove port0: it is no longer in the scenario",
              "add port5: it is new in the scenario",
              "start nic0: its NIC is port5 instead of port0"}},
        Case{"NicOnAnotherNetwork",
             [](World* w) { w->scenario.simulated[2].network = SinkNetwork{}; },
             {"stop nic2: its NIC port2 is replaced",
              "remove port2: its description differs",
              "add port2: its description differs",
              "start nic2: its NIC port2 is replaced"}},
        Case{"OtherCardInTheSlot",
             [](World* w) { w->devices[0].device = 0x10d4; },
             {"stop nic0: port0 is 8086:10d4 instead of 8086:10d3",
              "start nic0: port0 is 8086:10d4 instead of 8086:10d3"}},
        Case{"NoRuleAnyMore",
             [](World* w) { FirstRule(w).match.name = "port0"; },
             {"stop nic1: no rule matches port1 any more",
              "stop nic2: no rule matches port2 any more"}},
        Case{"S9_NowUsedByTheMachine",
             [](World* w) {
               w->devices[0].used_by = "eth0 carries 10.0.0.2/24";
             },
             {"stop nic0: port0 is refused: the machine itself uses it: eth0 "
              "carries 10.0.0.2/24; `take: true` in s.yaml:0 counts for "
              "exactly one NIC: give it a rule of its own before that, with "
              "`match: {address: '1000:01:00.0'}` and `take: true` (S9)"}},
        Case{"Renamed",
             [](World* w) { RuleOfPort1(w).instance = "uplink"; },
             {"stop nic1: port1 is now called uplink",
              "start uplink: e1000e for port1"}},
        Case{"Clients",
             [](World* w) {
               w->scenario.clients = {{{"probe", {"nic0"}, 0, {}}}};
             },
             {"set clients: `clients` differs"}},
        Case{"Everything",
             [](World* w) {
               w->scenario.simulated.clear();
               w->devices.clear();
             },
             {"stop nic0: port0 is gone", "stop nic1: port1 is gone",
              "stop nic2: port2 is gone",
              "remove port0: it is no longer in the scenario",
              "remove port1: it is no longer in the scenario",
              "remove port2: it is no longer in the scenario"}}),
    [](const auto& info) { return info.param.name; });

// A router with two domains and an uplink of nic0.
RouterSpec Router() {
  RouterSpec router;
  router.config.domains.resize(2);
  router.config.domains[0].name = "uplink";
  router.config.domains[1].name = "guests";
  router.config.uplinks = {{{"nic0"}, "uplink", {}}};
  return router;
}

struct RouterCase {
  const char* name;
  std::function<void(std::optional<RouterSpec>*)> change;
  std::vector<std::string> actions;
};

class RouterDiff : public testing::TestWithParam<RouterCase> {};

TEST_P(RouterDiff, TakesTheFewestSteps) {
  Plan running;
  running.router = Router();
  Plan wanted = running;
  GetParam().change(&wanted.router);
  std::vector<std::string> actions;
  for (const Action& action : DiffPlans(running, wanted)) {
    actions.push_back(ToText(action));
  }
  EXPECT_EQ(actions, GetParam().actions);
}

INSTANTIATE_TEST_SUITE_P(
    Table, RouterDiff,
    testing::Values(
        RouterCase{"Nothing", [](auto*) {}, {}},
        RouterCase{"OnlyTheLine", [](auto* r) { (*r)->line.number = 7; }, {}},
        RouterCase{"Gone",
                   [](auto* r) { r->reset(); },
                   {"stop router: it is no longer in the scenario"}},
        RouterCase{"Renamed",
                   [](auto* r) { (*r)->config.name = "gate"; },
                   {"stop router: it is now called gate",
                    "start gate: 2 domains, 1 uplinks"}},
        RouterCase{"Domains",
                   [](auto* r) {
                     auto& domains = (*r)->config.domains;
                     domains[0].use_arp = false;
                     domains[1].name = "dmz";
                   },
                   {"reconfigure router: domain uplink differs, domain dmz is "
                    "new, domain guests is gone"}},
        RouterCase{"EverythingElse",
                   [](auto* r) {
                     auto& config = (*r)->config;
                     config.uplinks.clear();
                     config.policies.resize(1);
                     config.timeouts.udp_idle_s = 1;
                     config.max_packets_per_turn = 5;
                   },
                   {"reconfigure router: `uplinks` differs, `policies` "
                    "differs, `timeouts` differs, max_packets_per_turn 50 -> "
                    "5"}},
        RouterCase{"ItsProcess",
                   [](auto* r) {
                     (*r)->standby = true;
                     (*r)->config.max_flows = 64;
                     (*r)->config.uplinks.clear();
                   },
                   {"redefine router: max_flows 131072 -> 64, standby false "
                    "-> true, `uplinks` differs"}}),
    [](const auto& info) { return info.param.name; });

TEST(PlanDiffFromNothing, StartsTheRouterLast) {
  Plan wanted = ThreeNics().MakePlan();
  wanted.router = Router();
  EXPECT_EQ(ToText(DiffPlans(Plan(), wanted).back()),
            "start router: 2 domains, 1 uplinks");
}

TEST(PlanDiffFromNothing, AddsThenStarts) {
  std::vector<std::string> actions;
  for (const Action& action : DiffPlans(Plan(), ThreeNics().MakePlan())) {
    actions.push_back(absl::StrCat(KindName(action.kind), " ", action.name));
  }
  EXPECT_EQ(absl::StrJoin(actions, ", "),
            "add port0, add port1, add port2, start nic0, start nic1, start "
            "nic2");
}

}  // namespace
}  // namespace bulkhead::policy
