// Shows that every scenario in configs/ says in its first lines what it is,
// parses, and makes the plan that those lines promise.
#include <dirent.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "base/testing/scratch_dir.h"
#include "platform_service/policy/driver_catalog.h"
#include "platform_service/policy/expected_devices.h"
#include "platform_service/policy/matcher.h"
#include "platform_service/policy/scenario_parser.h"

namespace bulkhead::policy {
namespace {

Plan PlanOf(const std::string& path) {
  auto scenario = LoadScenario(path);
  EXPECT_TRUE(scenario.ok()) << scenario.status().message();
  if (!scenario.ok()) return {};
  auto listing = ExpectedDevices(*scenario, ListModels("."));
  EXPECT_TRUE(listing.ok()) << listing.status();
  if (!listing.ok()) return {};
  const DriverCatalog drivers = {
      {"e1000e", {"/bin/e1000e", "", {{0x8086, 0x10d3}}}},
      {"igb", {"/bin/igb", "", {{0x8086, 0x10c9}}}},
      {"virtio_net", {"/bin/virtio_net", "", {{0x1af4, 0x1041}}}}};
  return MakePlan(*scenario, listing->devices, drivers);
}

TEST(Configs, AllParseAndSayWhatTheyAre) {
  std::vector<std::string> paths;
  DIR* folder = opendir("configs");
  ASSERT_NE(folder, nullptr);
  while (const dirent* entry = readdir(folder)) {
    if (absl::EndsWith(entry->d_name, ".yaml")) {
      paths.push_back(std::string("configs/") + entry->d_name);
    }
  }
  closedir(folder);
  EXPECT_GE(paths.size(), 4u);
  // Test drivers may be named in scenarios of their own tests.
  for (const std::string& path : paths) {
    const ParsedScenario parsed = ParseScenarioFile(path);
    EXPECT_TRUE(parsed.ok()) << ToText(parsed.diagnostics);
    std::string first;
    std::ifstream file(path);
    std::getline(file, first);
    EXPECT_TRUE(absl::StartsWith(first, "# ")) << path;
  }
}

// "1000:01:00.0=nic0", "0000:01:00.0: it is recorded …"
std::vector<std::string> Outcome(const Plan& plan) {
  std::vector<std::string> lines;
  for (const PlanEntry& entry : plan.entries) {
    if (!entry.rule.has_value()) continue;
    lines.push_back(entry.device.address + (entry.driven()
                                                ? "=" + entry.instance
                                                : ": " + entry.refused));
  }
  return lines;
}

TEST(Configs, TwoAndEightNics) {
  EXPECT_EQ(
      Outcome(PlanOf("configs/two_nics.yaml")),
      (std::vector<std::string>{"1000:01:00.0=nic0", "1000:02:00.0=nic1"}));
  const Plan eight = PlanOf("configs/eight_nics.yaml");
  EXPECT_EQ(Outcome(eight).size(), 8u);
  EXPECT_EQ(Outcome(eight)[7], "1000:08:00.0=nic7");
  for (const PlanEntry& entry : eight.entries) {
    EXPECT_TRUE(entry.rule->standby);
    EXPECT_EQ(entry.device.serial.substr(0, 14),
              "02-b8-" + entry.device.serial.substr(6, 2) + "-ff-ff");
  }
}

TEST(Configs, ThreeKinds) {
  const Plan plan = PlanOf("configs/three_kinds.yaml");
  EXPECT_EQ(Outcome(plan), (std::vector<std::string>{"1000:01:00.0=e1000e0",
                                                     "1000:02:00.0=igb0",
                                                     "1000:03:00.0=virtio0"}));
  EXPECT_EQ(plan.entries[2].device.device_name, "Virtio 1.0 network device");
}

TEST(Configs, RecordedMachine) {
  EXPECT_EQ(
      Outcome(PlanOf("configs/recorded_machine.yaml")),
      (std::vector<std::string>{
          "0000:01:00.0: it is recorded, so there is nothing to drive; plan "
          "only",
          "0000:02:00.0: it is recorded, so there is nothing to drive; plan "
          "only"}));
}

TEST(Configs, S9_ThisMachineRefusesTheNicThatItUses) {
  auto listing = pci::EnumerateMachine();
  if (!listing.ok()) GTEST_SKIP() << "no PCI bus here: " << listing.status();
  for (const PlanEntry& entry : PlanOf("configs/this_machine.yaml").entries) {
    EXPECT_FALSE(entry.driven()) << entry.device.address;
    const bool nic = entry.device.class_code >> 16 == 0x02;
    EXPECT_EQ(entry.rule.has_value(), nic) << entry.device.address;
    if (nic && !entry.device.used_by.empty()) {
      EXPECT_TRUE(absl::StrContains(entry.refused, entry.device.used_by));
      EXPECT_TRUE(absl::StrContains(entry.refused, "(S9)"));
    }
  }
}

// The catalog: what is there, what is not, and what only looks like a driver.
TEST(DriverCatalog, ListsWhatCanBeRun) {
  const ScratchDir scratch;
  const std::string& bin = scratch.path();
  EXPECT_TRUE(ListDrivers(bin).empty());

  auto make = [&](const std::string& name) {
    const std::string folder = bin + "/nic_driver/" + name;
    ASSERT_EQ(mkdir(folder.c_str(), 0700), 0);
  };
  auto program = [&](const std::string& name, mode_t mode) {
    const std::string path = bin + "/nic_driver/" + name + "/" + name;
    std::ofstream(path) << "x";
    ASSERT_EQ(chmod(path.c_str(), mode), 0);
  };
  ASSERT_EQ(mkdir((bin + "/nic_driver").c_str(), 0700), 0);
  const auto describe = [&](const std::string& name, const char* text) {
    std::ofstream(bin + "/nic_driver/" + name + "/driver.yaml") << text;
  };
  constexpr char kGood[] = "drives: [{vendor: 0x8086, device: 0x10d3}]\n";
  make("e1000e");
  describe("e1000e", kGood);
  make("e1000e/e1000e");  // A folder where the program should be.
  make("unbuilt");
  describe("unbuilt", kGood);
  make("odd");
  program("odd", 0700);
  describe("odd", "drive: []\n");
  make("misbehaving");
  program("misbehaving", 0700);
  make("framework");  // No program in it.
  make("plain");
  program("plain", 0600);
  make("Odd-Name");
  program("Odd-Name", 0700);
  DriverCatalog catalog = ListDrivers(bin);
  EXPECT_EQ(catalog["e1000e"].missing,
            bin +
                "/nic_driver/e1000e/e1000e is not a program but a folder or "
                "device");
  EXPECT_EQ(catalog["e1000e"].drives, (std::vector<PciId>{{0x8086, 0x10d3}}));
  EXPECT_EQ(catalog["unbuilt"].missing,
            "no program " + bin +
                "/nic_driver/unbuilt/unbuilt (No such file or directory)");
  EXPECT_TRUE(
      absl::StrContains(catalog["odd"].missing, "odd/driver.yaml:1:1: error: "))
      << catalog["odd"].missing;
  EXPECT_EQ(catalog["misbehaving"].missing, "");
  EXPECT_EQ(catalog.size(), 4u);
}

}  // namespace
}  // namespace bulkhead::policy
