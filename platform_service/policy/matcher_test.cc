// Shows which NIC gets which driver and name, and each reason for a refusal, on
// tables of made-up devices and rules.
#include "platform_service/policy/matcher.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace bulkhead::policy {
namespace {

using pci::PciDeviceInfo;
using pci::Source;

PciDeviceInfo Nic(int number) {
  PciDeviceInfo device;
  device.address = absl::StrCat("1000:0", number + 1, ":00.0");
  device.source = Source::kSimulated;
  device.name = absl::StrCat("port", number);
  device.vendor = 0x8086;
  device.device = 0x10d3;
  device.subsystem_vendor = 0x8086;
  device.subsystem_device = 0xa01f;
  device.class_code = 0x020000;
  device.serial = absl::StrCat("00-1b-21-ff-ff-00-00-0", number);
  device.slot = "3-A";
  return device;
}

DriverRule Rule(const std::string& instance = "nic{index}") {
  DriverRule rule;
  rule.match.class_value = 0x020000;
  rule.match.class_mask = 0xff0000;
  rule.driver = "e1000e";
  rule.instance = instance;
  rule.line.number = 7;
  return rule;
}

const DriverCatalog& Drivers() {
  static const auto* const kDrivers = new DriverCatalog{
      {"e1000e", {"/bin/e1000e", "", {{0x8086, 0x10d3}}}},
      {"any", {"/bin/any", "", {}}},
      {"af_xdp", {"/bin/af_xdp", "", {}, {}, SocketKind::kXdp}},
      {"unbuilt", {"/bin/unbuilt", "no program /bin/unbuilt", {}}}};
  return *kDrivers;
}

Scenario With(std::vector<DriverRule> rules) {
  Scenario scenario;
  scenario.path = "s.yaml";
  scenario.drivers = std::move(rules);
  return scenario;
}

Plan PlanOf(const Scenario& scenario, const std::vector<PciDeviceInfo>& devices,
            const Plan* running = nullptr) {
  return MakePlan(scenario, devices, Drivers(), running);
}

// "port0=nic0 port1!" where ! is a refusal and - no rule.
std::string Names(const Plan& plan) {
  std::string text;
  for (const PlanEntry& entry : plan.entries) {
    absl::StrAppend(&text, text.empty() ? "" : " ", DeviceKey(entry.device),
                    !entry.rule.has_value() ? "-"
                    : entry.driven()        ? "=" + entry.instance
                                            : "!" + entry.instance);
  }
  return text;
}

struct MatchCase {
  const char* name;
  std::function<void(MatchSpec*)> change;
  bool matches;
};

class MatcherMatch : public testing::TestWithParam<MatchCase> {};

TEST_P(MatcherMatch, EveryGivenPartMustHold) {
  MatchSpec match;
  GetParam().change(&match);
  EXPECT_EQ(Matches(match, Nic(0)), GetParam().matches);
}

INSTANTIATE_TEST_SUITE_P(
    Table, MatcherMatch,
    testing::Values(
        MatchCase{"Nothing", [](MatchSpec*) {}, true},
        MatchCase{"Class",
                  [](MatchSpec* m) {
                    m->class_value = 0x020000;
                    m->class_mask = 0xffff00;
                  },
                  true},
        MatchCase{"OtherClass",
                  [](MatchSpec* m) {
                    m->class_value = 0x010000;
                    m->class_mask = 0xff0000;
                  },
                  false},
        MatchCase{"Vendor", [](MatchSpec* m) { m->vendor = 0x8086; }, true},
        MatchCase{"OtherVendor", [](MatchSpec* m) { m->vendor = 1; }, false},
        MatchCase{"Device", [](MatchSpec* m) { m->device = 0x10d3; }, true},
        MatchCase{"OtherDevice", [](MatchSpec* m) { m->device = 1; }, false},
        MatchCase{"Subsystem",
                  [](MatchSpec* m) {
                    m->subsystem_vendor = 0x8086;
                    m->subsystem_device = 0xa01f;
                  },
                  true},
        MatchCase{"OtherSubsystemVendor",
                  [](MatchSpec* m) { m->subsystem_vendor = 1; }, false},
        MatchCase{"OtherSubsystemDevice",
                  [](MatchSpec* m) { m->subsystem_device = 1; }, false},
        MatchCase{"Address", [](MatchSpec* m) { m->address = "1000:01:00.0"; },
                  true},
        MatchCase{"AddressGlob", [](MatchSpec* m) { m->address = "*:0?:*.0"; },
                  true},
        MatchCase{"OtherAddress",
                  [](MatchSpec* m) { m->address = "1000:02:00.0"; }, false},
        MatchCase{"Slot", [](MatchSpec* m) { m->slot = "3-A"; }, true},
        MatchCase{"OtherSlot", [](MatchSpec* m) { m->slot = "4*"; }, false},
        MatchCase{"Serial", [](MatchSpec* m) { m->serial = "00-1b-21-*"; },
                  true},
        MatchCase{"OtherSerial", [](MatchSpec* m) { m->serial = "00-1c*"; },
                  false},
        MatchCase{"Name", [](MatchSpec* m) { m->name = "port*"; }, true},
        MatchCase{"OtherName", [](MatchSpec* m) { m->name = "port1"; }, false},
        MatchCase{"AllButOne",
                  [](MatchSpec* m) {
                    m->vendor = 0x8086;
                    m->device = 0x10d3;
                    m->name = "port7";
                  },
                  false}),
    [](const auto& info) { return info.param.name; });

TEST(Matcher, APartThatTheDeviceLacksDoesNotMatch) {
  PciDeviceInfo bare = Nic(0);
  bare.serial.clear();
  bare.name.clear();
  MatchSpec match;
  match.serial = "*";
  EXPECT_FALSE(Matches(match, bare));
  match.serial.clear();
  match.name = "*";
  EXPECT_FALSE(Matches(match, bare));
}

TEST(Matcher, OneRuleMakesOneInstancePerNic) {
  EXPECT_EQ(Names(PlanOf(With({Rule()}), {Nic(0), Nic(1), Nic(2)})),
            "port0=nic0 port1=nic1 port2=nic2");
}

TEST(Matcher, S1_TheFirstRuleThatMatchesHasTheNic) {
  DriverRule first = Rule("fast{index}");
  first.match.name = "port1";
  first.line.number = 3;
  const Plan plan = PlanOf(With({first, Rule()}), {Nic(0), Nic(1), Nic(2)});
  EXPECT_EQ(Names(plan), "port0=nic0 port1=fast0 port2=nic1");
  EXPECT_EQ(plan.entries[1].rule_place, "s.yaml:3");
  EXPECT_EQ(plan.entries[0].rule_place, "s.yaml:7");
}

TEST(Matcher, RulesOfOnePatternCountOn) {
  DriverRule first = Rule();
  first.match.name = "port1";
  EXPECT_EQ(Names(PlanOf(With({first, Rule()}), {Nic(0), Nic(1), Nic(2)})),
            "port0=nic0 port1=nic1 port2=nic2");
}

TEST(Matcher, NamesFromTheNic) {
  EXPECT_EQ(Names(PlanOf(With({Rule("drv-{name}")}), {Nic(3)})),
            "port3=drv-port3");
}

TEST(Matcher, NoRule) {
  DriverRule rule = Rule();
  rule.match.name = "port1";
  EXPECT_EQ(Names(PlanOf(With({rule}), {Nic(0), Nic(1)})), "port0- port1=nic0");
}

TEST(Matcher, S1_ADeviceThatIsListedTwiceIsOneDevice) {
  EXPECT_EQ(Names(PlanOf(With({Rule()}), {Nic(0), Nic(0)})), "port0=nic0");
}

TEST(Matcher, S1_ASecondNicOfTheSameNameIsRefused) {
  const Plan plan = PlanOf(With({Rule("uplink")}), {Nic(0), Nic(1)});
  EXPECT_EQ(Names(plan), "port0=uplink port1!uplink");
  EXPECT_EQ(plan.entries[1].refused,
            "the name uplink belongs to 1000:01:00.0 already (S1); put {index} "
            "into `instance` in s.yaml:7");
  EXPECT_EQ(plan.Find("uplink")->device.name, "port0");
  EXPECT_EQ(plan.Find("other"), nullptr);
}

struct RefusalCase {
  const char* name;
  std::function<void(PciDeviceInfo*, DriverRule*)> change;
  const char* refused;
};

class MatcherRefusal : public testing::TestWithParam<RefusalCase> {};

TEST_P(MatcherRefusal, SaysWhy) {
  PciDeviceInfo device = Nic(0);
  DriverRule rule = Rule();
  GetParam().change(&device, &rule);
  const Plan plan = PlanOf(With({rule}), {device, Nic(1)});
  ASSERT_TRUE(plan.entries[0].rule.has_value());
  EXPECT_EQ(plan.entries[0].refused, GetParam().refused);
}

INSTANTIATE_TEST_SUITE_P(
    Table, MatcherRefusal,
    testing::Values(
        RefusalCase{"None", [](PciDeviceInfo*, DriverRule*) {}, ""},
        RefusalCase{"S9_UsedByTheMachine",
                    [](PciDeviceInfo* d, DriverRule* r) {
                      d->used_by = "eth0 carries 10.0.0.2/24";
                      r->match.address = d->address;
                    },
                    "the machine itself uses it: eth0 carries 10.0.0.2/24; "
                    "`take: true` in s.yaml:7 would take it all the same (S9)"},
        RefusalCase{"S9_TakenInPlainWords",
                    [](PciDeviceInfo* d, DriverRule* r) {
                      d->used_by = "eth0 carries the default route";
                      r->match.address = d->address;
                      r->take = true;
                    },
                    ""},
        // Two functions of one card have one serial number.
        RefusalCase{"S9_NotTakenByARuleThatMayMatchAnother",
                    [](PciDeviceInfo* d, DriverRule* r) {
                      d->used_by = "eth0 carries the default route";
                      r->match.serial = d->serial;
                      r->take = true;
                    },
                    "the machine itself uses it: eth0 carries the default "
                    "route; `take: true` in s.yaml:7 counts for exactly one "
                    "NIC: give it a rule of its own before that, with `match: "
                    "{address: '1000:01:00.0'}` and `take: true` (S9)"},
        RefusalCase{"NoNetworkCard",
                    [](PciDeviceInfo* d, DriverRule* r) {
                      d->class_code = 0x018000;
                      r->match = {};
                      r->match.vendor = 0x8086;
                    },
                    "it is no network card (class 0x018000); narrow the "
                    "`match` of s.yaml:7"},
        RefusalCase{"Recorded",
                    [](PciDeviceInfo* d, DriverRule*) {
                      d->source = Source::kRecorded;
                    },
                    "it is recorded, so there is nothing to drive; plan only"},
        RefusalCase{
            "Real",
            [](PciDeviceInfo* d, DriverRule*) { d->source = Source::kSysfs; },
            ""},
        RefusalCase{"S9_RealAndUsedByTheMachine",
                    [](PciDeviceInfo* d, DriverRule*) {
                      d->source = Source::kSysfs;
                      d->used_by = "eth0 carries the default route";
                    },
                    "the machine itself uses it: eth0 carries the default "
                    "route; `take: true` in s.yaml:7 counts for exactly one "
                    "NIC: give it a rule of its own before that, with `match: "
                    "{address: '1000:01:00.0'}` and `take: true` (S9)"},
        RefusalCase{"NoDriver",
                    [](PciDeviceInfo*, DriverRule* r) { r->driver = "none"; },
                    "there is no driver none; name another one in s.yaml:7"},
        RefusalCase{
            "UnbuiltDriver",
            [](PciDeviceInfo*, DriverRule* r) { r->driver = "unbuilt"; },
            "the driver unbuilt cannot be run: no program /bin/unbuilt; build "
            "it with `bazel build //nic_driver/unbuilt`"},
        RefusalCase{"OtherModel",
                    [](PciDeviceInfo* d, DriverRule*) { d->device = 0x1041; },
                    "e1000e does not drive 8086:1041; narrow the `match` of "
                    "s.yaml:7, or name another driver"},
        RefusalCase{"OtherModelIsForProbe",
                    [](PciDeviceInfo* d, DriverRule* r) {
                      d->device = 0x1041;
                      r->driver = "any";
                    },
                    ""},
        RefusalCase{"NoName",
                    [](PciDeviceInfo* d, DriverRule* r) {
                      d->name.clear();
                      r->instance = "drv-{name}";
                    },
                    "`instance: drv-{name}` in s.yaml:7 needs a NIC with a "
                    "name, which only simulated NICs have; use {index}"},
        RefusalCase{"LongName",
                    [](PciDeviceInfo* d, DriverRule* r) {
                      d->name = "a123456789012345678901234567890";
                      r->instance = "drv-{name}";
                    },
                    "its instance would be called "
                    "drv-a123456789012345678901234567890, which is longer than "
                    "32 characters; shorten `instance` in s.yaml:7"}),
    [](const auto& info) { return info.param.name; });

TEST(Matcher, S1_NoInstanceHasTheNameOfASimulatedNic) {
  Scenario scenario = With({Rule("p{name}")});
  scenario.simulated.resize(1);
  scenario.simulated[0].name = "pport0";
  EXPECT_EQ(PlanOf(scenario, {Nic(0)}).entries[0].refused,
            "the name pport0 belongs to the simulated NIC pport0 already (S1); "
            "put {index} into `instance` in s.yaml:7");
}

TEST(Matcher, S3_OfOneIommuGroupOneCardIsDriven) {
  std::vector<PciDeviceInfo> devices = {Nic(0), Nic(1), Nic(2)};
  for (PciDeviceInfo& device : devices) {
    device.source = Source::kSysfs;
    device.iommu_group = 12;
  }
  devices[2].iommu_group = 13;
  const Plan plan = PlanOf(With({Rule()}), devices);
  EXPECT_EQ(Names(plan),
            "1000:01:00.0=nic0 1000:02:00.0!nic1 1000:03:00.0=nic2");
  EXPECT_EQ(plan.entries[1].refused,
            "its IOMMU group 12 also holds 1000:01:00.0, which is to be nic0: "
            "the IOMMU cannot tell them apart, so only one of them is driven "
            "(S3); move one to another slot, or narrow the `match` of s.yaml:7 "
            "to the one that is wanted");
  // The one that runs goes on.
  const Plan one = PlanOf(With({Rule()}), {devices[1]});
  EXPECT_EQ(Names(PlanOf(With({Rule()}), devices, &one)),
            "1000:01:00.0!nic1 1000:02:00.0=nic0 1000:03:00.0=nic2");
}

TEST(Matcher, ARefusalRenamesNoOtherNic) {
  std::vector<PciDeviceInfo> devices = {Nic(0), Nic(1), Nic(2)};
  devices[1].used_by = "eth0 carries the default route";
  const Plan plan = PlanOf(With({Rule()}), devices);
  EXPECT_EQ(Names(plan), "port0=nic0 port1!nic1 port2=nic2");
  EXPECT_EQ(plan.Find("nic1"), nullptr);
}

TEST(Matcher, WhatIsNoNetworkCardIsNotCounted) {
  std::vector<PciDeviceInfo> devices = {Nic(0), Nic(1)};
  devices[0].class_code = 0x018000;
  DriverRule rule = Rule();
  rule.match = {};
  rule.match.vendor = 0x8086;
  EXPECT_EQ(Names(PlanOf(With({rule}), devices)), "port0! port1=nic0");
}

TEST(Matcher, ARunningNicKeepsItsName) {
  const Scenario scenario = With({Rule()});
  const Plan running = PlanOf(scenario, {Nic(0), Nic(1), Nic(2), Nic(3)});
  // port1 goes, port9 comes before all others: nobody else is renamed, and the
  // free number is used again.
  PciDeviceInfo early = Nic(9);
  early.address = "1000:00:00.0";
  EXPECT_EQ(Names(PlanOf(scenario, {early, Nic(0), Nic(2), Nic(3)}, &running)),
            "port9=nic1 port0=nic0 port2=nic2 port3=nic3");
  // A rule with another pattern makes other names.
  EXPECT_EQ(
      Names(PlanOf(With({Rule("card{index}")}), {Nic(2), Nic(3)}, &running)),
      "port2=card0 port3=card1");
  // A fixed name stays with the NIC that has it.
  const Scenario fixed = With({Rule("uplink")});
  const Plan one = PlanOf(fixed, {Nic(3)});
  EXPECT_EQ(Names(PlanOf(fixed, {Nic(2), Nic(3)}, &one)),
            "port2!uplink port3=uplink");
}

TEST(Matcher, TheSameArgumentsGiveTheSamePlan) {
  const Scenario scenario = With({Rule()});
  const std::vector<PciDeviceInfo> devices = {Nic(0), Nic(1), Nic(2)};
  const Plan first = PlanOf(scenario, devices);
  EXPECT_EQ(Names(first), Names(PlanOf(scenario, devices)));
  EXPECT_EQ(Names(first), Names(PlanOf(scenario, devices, &first)));
}

TEST(MayOpen, SaysWhoMayOpenWhat) {
  const std::optional<std::vector<ClientRule>> anyone;
  EXPECT_EQ(*MayOpen(anyone, "whoever", "nic0"), 0u);
  const std::optional<std::vector<ClientRule>> clients = {
      {{"probe", {"nic0", "up*"}, 4 << 20, {}}, {"idle", {}, 0, {}}}};
  EXPECT_EQ(*MayOpen(clients, "probe", "nic0"), 4u << 20);
  EXPECT_EQ(*MayOpen(clients, "probe", "uplink"), 4u << 20);
  EXPECT_EQ(MayOpen(clients, "probe", "nic1").status(),
            absl::PermissionDeniedError(
                "cannot open nic1: the client `probe` may open nic0, up* only; "
                "add it to `may_open` of that client in the scenario"));
  EXPECT_EQ(MayOpen(clients, "other", "nic0").status(),
            absl::PermissionDeniedError(
                "cannot open nic0: the scenario has no client `other`; add it "
                "to `clients`, or use a label that is there: probe, idle"));
  EXPECT_FALSE(MayOpen(clients, "idle", "nic0").ok());
}

PciDeviceInfo Interface(const std::string& name, const std::string& space) {
  PciDeviceInfo device;
  device.source = Source::kLinux;
  device.address = space.empty() ? name : space + "/" + name;
  device.interfaces = {name};
  device.network_namespace = space;
  device.kernel_driver = "veth";
  device.mac = "02:00:00:00:00:01";
  return device;
}

DriverRule InterfaceRule(const std::string& glob) {
  DriverRule rule;
  rule.match.interface = glob;
  rule.driver = "af_xdp";
  rule.line.number = 7;
  return rule;
}

TEST(Matcher, InterfacesAndPciDevicesAreMatchedByKeysOfTheirOwn) {
  MatchSpec by_class;
  by_class.class_value = by_class.class_mask = 0x020000;
  EXPECT_FALSE(Matches(by_class, Interface("eth1", "")));
  MatchSpec by_name;
  by_name.interface = "*";
  EXPECT_TRUE(Matches(by_name, Interface("eth1", "")));
  EXPECT_FALSE(Matches(by_name, Nic(0)));
  MatchSpec by_all = by_name;
  by_all.kernel_driver = "ve*";
  by_all.mac = "02:00:*";
  by_all.network_namespace = "lab";
  EXPECT_TRUE(Matches(by_all, Interface("eth1", "lab")));
  EXPECT_FALSE(Matches(by_all, Interface("eth1", "")));
}

TEST(Matcher, AnInterfaceGetsADriverOfInterfacesOnly) {
  DriverRule rule = InterfaceRule("eth1");
  EXPECT_EQ(Names(PlanOf(With({rule}), {Interface("eth1", "")})), "eth1=nic0");
  rule.driver = "any";
  const Plan plan = PlanOf(With({rule}), {Interface("eth1", "")});
  EXPECT_EQ(Names(plan), "eth1!nic0");
  EXPECT_NE(plan.entries[0].refused.find("name af_xdp or af_packet"),
            std::string::npos);
  DriverRule pci = Rule();
  pci.driver = "af_xdp";
  EXPECT_NE(PlanOf(With({pci}), {Nic(0)})
                .entries[0]
                .refused.find("drives Linux interfaces"),
            std::string::npos);
}

TEST(Matcher, S9_AnInterfaceInUseIsTakenOnlyByARuleThatNamesExactlyIt) {
  PciDeviceInfo used = Interface("eth1", "");
  used.used_by = "eth1 carries 10.0.0.2/24";
  PciDeviceInfo elsewhere = Interface("eth1", "lab");
  elsewhere.used_by = used.used_by;
  DriverRule rule = InterfaceRule("eth1");
  EXPECT_EQ(Names(PlanOf(With({rule}), {used})), "eth1!nic0");
  rule.take = true;
  EXPECT_EQ(Names(PlanOf(With({rule}), {used})), "eth1=nic0");
  // One of the same name in another namespace is another one.
  EXPECT_EQ(Names(PlanOf(With({rule}), {elsewhere})), "lab/eth1!nic0");
  rule.match.network_namespace = "lab";
  EXPECT_EQ(Names(PlanOf(With({rule}), {elsewhere})), "lab/eth1=nic0");
  DriverRule glob = InterfaceRule("eth*");
  glob.take = true;
  const Plan plan = PlanOf(With({glob}), {used});
  EXPECT_EQ(plan.entries[0].refused,
            "the machine itself uses it: eth1 carries 10.0.0.2/24; `take: "
            "true` in s.yaml:7 counts for exactly one NIC: give it a rule of "
            "its own before that, with `match: {interface: eth1}` and `take: "
            "true` (S9)");
}

}  // namespace
}  // namespace bulkhead::policy
