// Shows the plan as people and programs get it, exactly, on a made-up plan with
// a driven NIC, a refused one and one without a rule.
#include "platform_service/policy/plan_text.h"

#include <gtest/gtest.h>

namespace bulkhead::policy {
namespace {

Plan Example() {
  Plan plan;
  plan.entries.resize(3);
  PlanEntry& driven = plan.entries[0];
  driven.device.address = "1000:01:00.0";
  driven.device.source = pci::Source::kSimulated;
  driven.device.name = "port0";
  driven.device.vendor = 0x8086;
  driven.device.device = 0x10d3;
  driven.device.device_name = "82574L Gigabit Network Connection";
  driven.rule.emplace();
  driven.rule->driver = "e1000e";
  driven.rule_place = "s.yaml:9";
  driven.instance = "nic0";
  PlanEntry& refused = plan.entries[1];
  refused.device.address = "0000:00:03.0";
  refused.device.vendor = 0x1af4;
  refused.device.device = 0x1041;
  refused.device.used_by = "eth0 carries 10.0.0.2/24";
  refused.rule = driven.rule;
  refused.rule_place = "s.yaml:9";
  refused.instance = "nic1";
  refused.refused = "the machine \x1b[31m itself uses it";
  plan.entries[2].device.address = "0000:00:04.0";
  plan.entries[2].device.device_name = "Größe";
  return plan;
}

TEST(PlanTable, HasALineForEachMatch) {
  EXPECT_EQ(
      PlanTable(Example()),
      R"(DEVICE        NIC                                       RULE      DRIVER  INSTANCE
1000:01:00.0  port0, 82574L Gigabit Network Connection  s.yaml:9  e1000e  nic0
0000:00:03.0  1af4:1041                                 s.yaml:9  e1000e  refused

Refused:
  0000:00:03.0: the machine \x1b[31m itself uses it

3 devices: 1 driven, 1 refused, 1 without a rule
)");
}

TEST(PlanTable, HasALineForEachDeviceWhenAsked) {
  const std::string table = PlanTable(Example(), true);
  EXPECT_NE(
      table.find("0000:00:04.0  Größe                                     "
                 "-         -       -\n"),
      std::string::npos)
      << table;
}

// Shows the router's domains with what leads to them, below the NICs.
TEST(PlanTable, HasALineForEachDomainOfTheRouter) {
  Plan plan;
  nic_router::RouterConfig& config = plan.router.emplace().config;
  config.domains.resize(2);
  config.domains[0].name = "uplink";
  config.domains[1].name = "guests";
  config.domains[1].interface = {0x0a000101, 24};
  config.domains[1].interface6 = {{0x20, 1, 0xd, 0xb8}, 64};
  config.uplinks = {{{"nic0", "nic1"}, "uplink", {{10, "guests"}}}};
  using Kind = nic_router::PolicyRule::Kind;
  config.policies = {{Kind::kPrefix, "vm-", "guests", 0, 0, 1},
                     {Kind::kDefault, "", "guests", 0, 0, 1}};
  EXPECT_EQ(
      PlanTable(plan),
      R"(Router router:
DOMAIN  IPV4         IPV6           UPLINK                   CLIENTS
uplink  by DHCP      -              nic0 or nic1             -
guests  10.0.1.1/24  2001:db8::/64  VLAN 10 of nic0 or nic1  vm-*, everybody else

0 devices: 0 driven, 0 refused, 0 without a rule
)");
}

TEST(PlanTable, OfNothing) {
  EXPECT_EQ(PlanTable(Plan()),
            "0 devices: 0 driven, 0 refused, 0 without a rule\n");
  EXPECT_EQ(PlanJson(Plan()), "[]");
}

TEST(PlanJson, HasAnObjectForEachDevice) {
  EXPECT_EQ(PlanJson(Example()),
            R"([{"address":"1000:01:00.0","name":"port0","source":"simulated",)"
            R"("vendor":"8086","device":"10d3","used_by":"","rule":"s.yaml:9",)"
            R"("driver":"e1000e","instance":"nic0","refused":""},)"
            R"({"address":"0000:00:03.0","name":"","source":"sysfs",)"
            R"("vendor":"1af4","device":"1041",)"
            R"("used_by":"eth0 carries 10.0.0.2/24","rule":"s.yaml:9",)"
            R"("driver":"e1000e","instance":"",)"
            R"("refused":"the machine \\x1b[31m itself uses it"},)"
            R"({"address":"0000:00:04.0","name":"","source":"sysfs",)"
            R"("vendor":"0000","device":"0000","used_by":"","rule":"",)"
            R"("driver":"","instance":"","refused":""}])");
}

}  // namespace
}  // namespace bulkhead::policy
