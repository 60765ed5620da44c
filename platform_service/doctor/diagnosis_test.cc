// Shows over recorded machines that each obstacle is found with its cause and
// what mends it, that nothing is found where nothing is in the way, and that no
// fix names a device.
#include "platform_service/doctor/diagnosis.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "platform_service/doctor/testing/recorded_tree.h"

namespace bulkhead::doctor {
namespace {

policy::DriverCatalog Drivers() {
  policy::DriverCatalog drivers;
  drivers["e1000e"].drives = {{0x8086, 0x10d3}};
  return drivers;
}

Machine Recorded(const std::string& name) {
  const RecordedTree tree(RecordedTree::Load(name));
  auto machine = Examine(tree.root());
  EXPECT_TRUE(machine.ok()) << machine.status();
  return machine.ok() ? *std::move(machine) : Machine();
}

// "obstacle vfio-missing", one a line.
std::string Kinds(const Report& report) {
  return absl::StrJoin(
      report.findings, "\n", [](std::string* out, const Finding& finding) {
        absl::StrAppend(out, WeightName(finding.weight), " ", finding.kind);
      });
}

const Finding& Find(const Report& report, const std::string& kind) {
  static const Finding none;
  for (const Finding& finding : report.findings) {
    if (finding.kind == kind) return finding;
  }
  ADD_FAILURE() << "no " << kind << " in\n" << Kinds(report);
  return none;
}

TEST(Doctor, FindsNothingWhereNothingIsInTheWay) {
  const Machine machine = Recorded("good");
  const Diagnosis diagnosis = Diagnose(machine, Drivers());
  EXPECT_TRUE(diagnosis.ok);
  EXPECT_EQ(Kinds(diagnosis.machine), "");
  ASSERT_EQ(diagnosis.devices.size(), 3u);
  EXPECT_EQ(Kinds(diagnosis.devices[1]), "");
  EXPECT_EQ(Kinds(diagnosis.devices[2]), "");
  EXPECT_EQ(machine.devices.at(4).numa_node, 1);
  EXPECT_EQ(machine.groups.at(1).members,
            (std::vector<std::string>{"0000:00:1c.0", "0000:01:00.0"}));
}

// The uplink is kept, which is no fault; asked for by name, it is an obstacle.
TEST(Doctor, S9_TheMachinesOwnNicIsKeptAndNoCommandTouchesIt) {
  const Machine machine = Recorded("good");
  const Diagnosis all = Diagnose(machine, Drivers());
  EXPECT_EQ(Kinds(all.devices[0]), "kept in-use");
  const Diagnosis asked = Diagnose(machine, Drivers(), "0000:01:00.0");
  EXPECT_FALSE(asked.ok);
  ASSERT_EQ(asked.devices.size(), 1u);
  const Finding& finding = Find(asked.devices[0], "in-use");
  EXPECT_EQ(finding.weight, Weight::kObstacle);
  EXPECT_EQ(finding.cause,
            "the machine uses it: eth0 carries the default route");
  EXPECT_FALSE(absl::StrContains(finding.remedy, "eth0")) << finding.remedy;
  // What the matcher obeys (MatcherRefusal.SaysWhy/S9_TakenInPlainWords).
  EXPECT_TRUE(absl::StrContains(
      finding.remedy, "`match: {address: '0000:01:00.0'}` and `take: true`"))
      << finding.remedy;
  EXPECT_EQ(finding.meanwhile, "the kernel's e1000e goes on driving it");
}

struct MachineCase {
  const char* tree;
  const char* kind;
  const char* cause;
  const char* remedy;
};

class MachineObstacle : public testing::TestWithParam<MachineCase> {};

TEST_P(MachineObstacle, IsNamedWithWhatMendsIt) {
  const Diagnosis diagnosis = Diagnose(Recorded(GetParam().tree), Drivers());
  EXPECT_FALSE(diagnosis.ok);
  const Finding& finding = Find(diagnosis.machine, GetParam().kind);
  EXPECT_EQ(finding.weight, Weight::kObstacle);
  EXPECT_TRUE(absl::StrContains(finding.cause, GetParam().cause))
      << finding.cause;
  EXPECT_TRUE(absl::StrContains(finding.remedy, GetParam().remedy))
      << finding.remedy;
  EXPECT_TRUE(absl::StrContains(finding.meanwhile, "simulated NICs"));
}

INSTANTIATE_TEST_SUITE_P(
    Doctor, MachineObstacle,
    testing::Values(
        MachineCase{"iommu_off", "iommu-off", "the kernel does not use it",
                    "`intel_iommu=on`"},
        MachineCase{"iommu_off", "vfio-missing", "vfio-pci is not loaded",
                    "`modprobe vfio-pci`"},
        MachineCase{"iommu_off", "not-root", "only root", "sudo"},
        MachineCase{"iommu_off", "memlock", "may lock 8 MiB",
                    "`ulimit -l 65536`"},
        MachineCase{"command_line", "iommu-off",
                    "was started with `amd_iommu=off`",
                    "take `amd_iommu=off` out of GRUB_CMDLINE_LINUX"},
        MachineCase{"command_line", "vfio-missing",
                    "no module vfio-pci for kernel 6.1.0-18-cloud-amd64",
                    "apt-get install linux-image-amd64"},
        MachineCase{"firmware", "iommu-none", "VT-d is off in its set-up",
                    "turn on VT-d"},
        MachineCase{"firmware", "no-nic", "none of this machine's NICs",
                    "another NIC"},
        MachineCase{"guest", "iommu-none", "a virtual machine",
                    "-device intel-iommu"},
        MachineCase{"guest", "no-nic", "no PCIe network card", "put one in"}),
    [](const auto& info) {
      std::string name = absl::StrCat(info.param.tree, "_", info.param.kind);
      for (char& c : name) c = c == '-' ? '_' : c;
      return name;
    });

// As FunctionTakerTest.S3_OfOneGroupOneCardIsDriven has it of `up`.
TEST(Doctor, S3_OfOneGroupOneCardIsDriven) {
  const std::string tree =
      RecordedTree::Load("good") +
      "pci 0000:07:00.0 8086:10d3 020000 driver=vfio-pci group=7\n"
      "pci 0000:07:00.1 8086:10d3 020000 driver=e1000e group=7 net=eth7\n";
  const auto look = [](const std::string& text) {
    auto machine = Examine(RecordedTree(text).root());
    EXPECT_TRUE(machine.ok()) << machine.status();
    return machine.ok() ? *std::move(machine) : Machine();
  };
  const Machine waits = look(tree);
  EXPECT_EQ(Kinds(Diagnose(waits, Drivers(), "0000:07:00.1").devices.at(0)),
            "");
  EXPECT_EQ(SharedWith(waits, waits.devices.back()), "");
  const Machine driven = look(tree +
                              "file /proc/815/comm platform_servic\n"
                              "link /proc/815/fd/9 /dev/vfio/7\n");
  const Diagnosis diagnosis = Diagnose(driven, Drivers(), "0000:07:00.1");
  EXPECT_EQ(Kinds(diagnosis.devices.at(0)), "obstacle group-shared");
  EXPECT_TRUE(absl::StrContains(
      Find(diagnosis.devices[0], "group-shared").cause,
      "a running Bulkhead (process 815) drives another card"));
  EXPECT_EQ(SharedWith(driven, driven.devices.back()),
            "shares IOMMU group 7 with what process 815 (platform_servic) "
            "drives");
}

// Linux has no `amd_iommu=on`: it uses what the firmware offers.
TEST(Doctor, AnAmdMachineIsToldOfTheFirmwareOnly) {
  std::string tree = RecordedTree::Load("command_line");
  tree = absl::StrReplaceAll(tree, {{" amd_iommu=off", ""}});
  const std::string without =
      absl::StrReplaceAll(tree, {{"file /sys/firmware/acpi/tables/IVRS", "#"}});
  for (const auto& [text, kind] :
       {std::pair{tree, "iommu-off"}, std::pair{without, "iommu-none"}}) {
    const auto machine = Examine(RecordedTree(text).root());
    ASSERT_TRUE(machine.ok()) << machine.status();
    const Diagnosis diagnosis = Diagnose(*machine, Drivers());
    const std::string& remedy = Find(diagnosis.machine, kind).remedy;
    EXPECT_TRUE(absl::StrContains(remedy, "firmware's set-up")) << remedy;
    EXPECT_FALSE(absl::StrContains(remedy, "iommu=on")) << remedy;
  }
}

struct DeviceCase {
  const char* address;
  const char* findings;
  const char* cause;
};

class DeviceObstacle : public testing::TestWithParam<DeviceCase> {};

TEST_P(DeviceObstacle, IsNamed) {
  const Diagnosis diagnosis =
      Diagnose(Recorded("obstacles"), Drivers(), GetParam().address);
  ASSERT_EQ(diagnosis.devices.size(), 1u);
  const Report& report = diagnosis.devices[0];
  EXPECT_EQ(Kinds(report), GetParam().findings);
  ASSERT_FALSE(report.findings.empty());
  EXPECT_TRUE(absl::StrContains(report.findings[0].cause, GetParam().cause))
      << report.findings[0].cause;
  EXPECT_NE(report.findings[0].remedy, "");
  EXPECT_NE(report.findings[0].meanwhile, "");
}

INSTANTIATE_TEST_SUITE_P(
    Doctor, DeviceObstacle,
    testing::Values(
        DeviceCase{"0000:01:00.0", "obstacle group-shared", "0000:01:01.0 ("},
        DeviceCase{"0000:02:00.0", "obstacle busy",
                   "process 4711 (qemu-system-x86) has IOMMU group 2 open"},
        DeviceCase{"0000:02:00.1", "obstacle busy",
                   "process 4712 (vpp_main) has IOMMU group 8 open"},
        DeviceCase{"0000:03:00.0", "warning busy", "a running Bulkhead has it"},
        DeviceCase{"0000:04:00.0", "obstacle no-group", "behind no IOMMU"},
        DeviceCase{"0000:05:00.0", "obstacle in-use",
                   "eth5 belongs to the bridge br0"},
        DeviceCase{"0000:06:00.0", "obstacle in-use",
                   "in another network namespace"},
        DeviceCase{"0000:01:01.0", "obstacle not-a-nic\nobstacle group-shared",
                   "it is no network card"}),
    [](const auto& info) {
      std::string name = info.param.address;
      for (char& c : name) c = c == ':' || c == '.' ? '_' : c;
      return "D" + name;
    });

TEST(Doctor, WarnsOfWhatMakesTheMachineLessSafe) {
  const RecordedTree tree(
      RecordedTree::Load("good") +
      "file /sys/module/vfio/parameters/enable_unsafe_noiommu_mode Y\n");
  const auto machine = Examine(tree.root());
  ASSERT_TRUE(machine.ok()) << machine.status();
  const Diagnosis diagnosis = Diagnose(*machine, Drivers());
  EXPECT_EQ(Kinds(diagnosis.machine), "warning unsafe-noiommu");
  EXPECT_TRUE(diagnosis.ok);
}

// Without remapping VFIO refuses, and with its leave to do without `up` does
// (FunctionTakerTest.UnsafeInterruptsAreRefused): no leave is ever advised.
TEST(Doctor, InterruptsThatCouldBeForgedAreAnObstacle) {
  const std::string remapped = RecordedTree::Load("good");
  const std::string allowed = absl::StrReplaceAll(
      remapped, {{"allow_unsafe_interrupts N", "allow_unsafe_interrupts Y"}});
  const std::string not_remapped =
      "file /sys/class/iommu/dmar1/intel-iommu/ecap 0\n";
  struct {
    std::string tree;
    const char* remedy;
  } const cases[] = {{remapped + not_remapped, "x2APIC"},
                     {allowed, "`echo N > /sys/module"},
                     {allowed + not_remapped, "`echo N > /sys/module"},
                     {allowed + not_remapped, "x2APIC"}};
  for (const auto& [tree, remedy] : cases) {
    const auto machine = Examine(RecordedTree(tree).root());
    ASSERT_TRUE(machine.ok()) << machine.status();
    const Diagnosis diagnosis = Diagnose(*machine, Drivers());
    EXPECT_FALSE(diagnosis.ok);
    const Finding& finding = Find(diagnosis.machine, "unsafe-interrupts");
    EXPECT_EQ(finding.weight, Weight::kObstacle);
    EXPECT_TRUE(absl::StrContains(finding.remedy, remedy)) << finding.remedy;
    EXPECT_FALSE(absl::StrContains(finding.remedy, "echo Y"));
    EXPECT_TRUE(absl::StrContains(finding.meanwhile, "af_xdp"));
  }
}

TEST(Doctor, ADriverThatIsNotInstalledKnowsNothing) {
  policy::DriverCatalog drivers = Drivers();
  drivers["e1000e"].missing = "no program";
  const Diagnosis diagnosis =
      Diagnose(Recorded("good"), drivers, "0000:02:00.0");
  EXPECT_FALSE(diagnosis.ok);
  EXPECT_EQ(Kinds(diagnosis.devices.at(0)), "obstacle no-driver");
}

// What --fix may run, in full.
TEST(Doctor, S9_FixesNameNoDevice) {
  Machine machine;
  EXPECT_EQ(FixCommand(Fix::kLoadVfio, machine, 7),
            (std::vector<std::string>{"modprobe", "vfio-pci"}));
  EXPECT_EQ(FixCommand(Fix::kRaiseMemlock, machine, 7),
            (std::vector<std::string>{"prlimit", "--pid=7",
                                      "--memlock=unlimited:unlimited"}));
  machine.memlock_hard = 1 << 30;
  EXPECT_EQ(FixCommand(Fix::kRaiseMemlock, machine, 7)[2],
            "--memlock=1073741824:1073741824");
  EXPECT_TRUE(FixCommand(Fix::kNone, machine, 7).empty());
  for (const char* tree : {"good", "iommu_off", "obstacles"}) {
    for (const Report& report : Diagnose(Recorded(tree), Drivers()).devices) {
      for (const Finding& finding : report.findings) {
        EXPECT_EQ(finding.fix, Fix::kNone) << finding.kind;
      }
    }
  }
}

// This machine, whatever it is: looking works, and says the same twice.
TEST(Doctor, LooksAtThisMachine) {
  const auto first = Examine();
  ASSERT_TRUE(first.ok()) << first.status();
  const auto second = Examine();
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(first->devices, second->devices);
}

TEST(Doctor, AMachineWithoutPciHasNoNic) {
  const auto machine = Examine("/nonexistent");
  ASSERT_TRUE(machine.ok()) << machine.status();
  EXPECT_EQ(machine->warnings.size(), 1u);
  const Diagnosis diagnosis = Diagnose(*machine, Drivers());
  EXPECT_FALSE(diagnosis.ok);
  Find(diagnosis.machine, "no-nic");
}

}  // namespace
}  // namespace bulkhead::doctor
