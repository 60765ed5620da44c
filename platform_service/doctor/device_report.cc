// One NIC: its IOMMU group, who has it, and whether a driver knows it.
#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "platform_service/doctor/reports.h"
#include "platform_service/pci/iommu_group.h"

namespace bulkhead::doctor {
namespace {

using pci::PciDeviceInfo;

constexpr uint32_t kNetwork = 0x02;  // Class.

std::string NameOf(const PciDeviceInfo& device) {
  if (!device.device_name.empty()) return device.device_name;
  return absl::StrFormat("%04x:%04x", device.vendor, device.device);
}

const PciDeviceInfo* Find(const Machine& machine, const std::string& address) {
  for (const PciDeviceInfo& device : machine.devices) {
    if (device.address == address) return &device;
  }
  return nullptr;
}

const IommuGroup* GroupOf(const Machine& machine, const PciDeviceInfo& device) {
  const auto it = machine.groups.find(device.iommu_group);
  return it == machine.groups.end() ? nullptr : &it->second;
}

// The other functions of the group that must be given up with the device.
std::vector<const PciDeviceInfo*> InTheWay(const Machine& machine,
                                           const PciDeviceInfo& device) {
  std::vector<const PciDeviceInfo*> others;
  const IommuGroup* group = GroupOf(machine, device);
  if (group == nullptr) return others;
  for (const std::string& member : group->members) {
    const PciDeviceInfo* other = Find(machine, member);
    if (other == nullptr || member == device.address) continue;
    if (pci::MayStayInGroup(other->class_code, other->kernel_driver)) continue;
    others.push_back(other);
  }
  return others;
}

// /proc/PID/comm holds 15 characters.
bool IsBulkhead(const ProcessName& process) {
  return process.name == "platform_servic";
}

// Who drives another function of the device's group: a group has one opener.
const ProcessName* NeighboursDriver(const Machine& machine,
                                    const PciDeviceInfo& device) {
  const IommuGroup* group = GroupOf(machine, device);
  if (group == nullptr || group->holders.empty()) return nullptr;
  // What is not with vfio-pci is not the one that is driven.
  return device.kernel_driver == "vfio-pci" ? nullptr : &group->holders.front();
}

std::string StaysAsItIs(const PciDeviceInfo& device) {
  return device.kernel_driver.empty()
             ? "simulated NICs: `bulkhead up configs/two_nics.yaml`"
             : absl::StrCat("the kernel's ", device.kernel_driver,
                            " goes on driving it");
}

void CheckUse(const PciDeviceInfo& device, bool asked, Report* report) {
  if (device.used_by.empty()) return;
  Finding finding = {
      .weight = asked ? Weight::kObstacle : Weight::kKept,
      .kind = "in-use",
      .cause = absl::StrCat("the machine uses it: ", device.used_by),
      .meanwhile = StaysAsItIs(device)};
  const std::string in_words = absl::StrCat(
      "in the scenario a rule of its own, with `match: {address: '",
      device.address, "'}` and `take: true`");
  if (absl::StrContains(device.used_by, "default route")) {
    // No command here: whoever follows it by way of this NIC is cut off.
    finding.remedy = absl::StrCat(
        "use another NIC: the machine is reached through this one; Bulkhead "
        "takes it for nothing less than ",
        in_words);
  } else if (device.interfaces.empty()) {
    finding.remedy =
        "bring the interface back: `ip netns exec NAMESPACE ip link set "
        "INTERFACE netns 1`";
  } else {
    std::vector<std::string> commands;
    for (const std::string& name : device.interfaces) {
      commands.push_back(absl::StrCat("`ip address flush dev ", name,
                                      "; ip link set ", name,
                                      " nomaster down`"));
    }
    finding.remedy = absl::StrCat(
        "if the machine can do without it: ", absl::StrJoin(commands, ", "),
        "; or ", in_words);
  }
  report->findings.push_back(std::move(finding));
}

void CheckDriver(const PciDeviceInfo& device,
                 const policy::DriverCatalog& drivers, Report* report) {
  std::vector<std::string> names;
  for (const auto& [name, program] : drivers) {
    for (const policy::PciId& id : program.drives) {
      if (id.vendor != device.vendor || id.device != device.device) continue;
      if (program.missing.empty()) names.push_back(name);
    }
  }
  if (!names.empty()) {
    report->good.push_back(
        absl::StrCat("driver ", absl::StrJoin(names, ", "), " knows it"));
    return;
  }
  const bool is_nic = device.class_code >> 16 == kNetwork;
  report->findings.push_back(
      {.kind = is_nic ? "no-driver" : "not-a-nic",
       .cause = is_nic ? absl::StrFormat("no driver of Bulkhead knows "
                                         "%04x:%04x",
                                         device.vendor, device.device)
                       : absl::StrCat("it is no network card: ",
                                      device.class_name.empty()
                                          ? "another class of device"
                                          : device.class_name),
       .remedy = is_nic ? "add a driver for it: docs/writing-a-driver.md"
                        : "name a NIC; `bulkhead devices` lists them",
       .meanwhile = StaysAsItIs(device)});
}

std::vector<std::string> ListDevices(
    const std::vector<const PciDeviceInfo*>& devices) {
  std::vector<std::string> texts;
  for (const PciDeviceInfo* device : devices) {
    texts.push_back(absl::StrCat(
        device->address, " (", NameOf(*device), ", ", device->kernel_driver,
        device->used_by.empty() ? "" : ", in use by the machine", ")"));
  }
  return texts;
}

void CheckGroup(const Machine& machine, const PciDeviceInfo& device,
                Report* report) {
  if (machine.groups.empty()) return;  // Said of the machine.
  if (GroupOf(machine, device) == nullptr) {
    report->findings.push_back(
        {.kind = "no-group",
         .cause = "it is behind no IOMMU, although this machine has one",
         .remedy = "put it into another slot",
         .meanwhile = StaysAsItIs(device)});
    return;
  }
  const std::vector<const PciDeviceInfo*> others = InTheWay(machine, device);
  if (const ProcessName* driver = NeighboursDriver(machine, device);
      driver != nullptr && IsBulkhead(*driver)) {
    report->findings.push_back(
        {.kind = "group-shared",
         .cause =
             absl::StrCat("a running Bulkhead (process ", driver->pid,
                          ") drives another card of its IOMMU group ",
                          device.iommu_group, ", and one group has one owner"),
         .remedy =
             "leave that one out of the scenario, or put one of them into "
             "another slot",
         .meanwhile = StaysAsItIs(device)});
  }
  if (others.empty()) {
    const size_t members = GroupOf(machine, device)->members.size();
    report->good.push_back(absl::StrCat(
        members > 1 ? "nothing is in the way in " : "", "IOMMU group ",
        device.iommu_group, members > 1 ? "" : " is its own"));
    return;
  }
  Finding finding = {.kind = "group-shared",
                     .cause = absl::StrCat(
                         "its IOMMU group ", device.iommu_group, " also holds ",
                         absl::StrJoin(ListDevices(others), ", "),
                         ": the IOMMU cannot tell them apart, so all must "
                         "be given up together"),
                     .meanwhile = StaysAsItIs(device)};
  std::vector<std::string> commands;
  bool needed = false;
  for (const PciDeviceInfo* other : others) {
    needed |= !other->used_by.empty();
    commands.push_back(absl::StrCat("`echo ", other->address,
                                    " > /sys/bus/pci/devices/", other->address,
                                    "/driver/unbind`"));
  }
  constexpr char kSlot[] =
      "put it into a slot of its own (one with ACS: `lspci -vvv | grep "
      "ACSCap`)";
  finding.remedy =
      needed ? std::string(kSlot)
             : absl::StrCat("if the machine can do without them: ",
                            absl::StrJoin(commands, ", "), "; or ", kSlot);
  report->findings.push_back(std::move(finding));
}

void CheckHolders(const Machine& machine, const PciDeviceInfo& device,
                  Report* report) {
  const IommuGroup* group = GroupOf(machine, device);
  if (group == nullptr) return;
  const bool neighbours = NeighboursDriver(machine, device) != nullptr;
  for (const ProcessName& process : group->holders) {
    const bool ours = IsBulkhead(process);
    if (ours && neighbours) continue;  // Said of the group.
    report->findings.push_back(
        {.weight = ours ? Weight::kWarning : Weight::kObstacle,
         .kind = "busy",
         .cause =
             absl::StrCat(ours ? "a running Bulkhead has it: " : "",
                          platform::HoldersText({process}), " has IOMMU group ",
                          device.iommu_group, " open through VFIO"),
         .remedy = ours ? "none is needed; `bulkhead down` gives it back"
                        : absl::StrCat("end that program, or have it give the "
                                       "device back; `ps -fp ",
                                       process.pid, "` shows which one it is"),
         .meanwhile = ours ? "`bulkhead status` shows how it fares"
                           : "the other NICs can be driven"});
  }
  if (device.kernel_driver == "vfio-pci" && group->holders.empty() &&
      group->device_file && !group->accessible) {
    report->findings.push_back(
        {.kind = "no-access",
         .cause = absl::StrCat("this user may not open /dev/vfio/",
                               device.iommu_group),
         .remedy = absl::StrCat("`sudo chown $USER /dev/vfio/",
                                device.iommu_group, "`, or run as root"),
         .meanwhile = "simulated NICs: `bulkhead up configs/two_nics.yaml`"});
  }
}

}  // namespace

std::string SharedWith(const Machine& machine, const PciDeviceInfo& device) {
  const std::vector<const PciDeviceInfo*> others = InTheWay(machine, device);
  const ProcessName* driver = NeighboursDriver(machine, device);
  if (others.empty() && driver == nullptr) return "";
  return absl::StrCat("shares IOMMU group ", device.iommu_group, " with ",
                      others.empty()
                          ? absl::StrCat("what process ", driver->pid, " (",
                                         driver->name, ") drives")
                          : absl::StrJoin(ListDevices(others), ", "));
}

Report ExamineDevice(const Machine& machine, const PciDeviceInfo& device,
                     const policy::DriverCatalog& drivers, bool asked) {
  Report report;
  report.address = device.address;
  report.title = NameOf(device);
  CheckUse(device, asked, &report);
  CheckDriver(device, drivers, &report);
  CheckGroup(machine, device, &report);
  CheckHolders(machine, device, &report);
  if (device.used_by.empty() && !device.kernel_driver.empty() &&
      device.kernel_driver != "vfio-pci") {
    report.good.push_back(absl::StrCat(
        "the kernel's ", device.kernel_driver,
        " has it: `bulkhead up` takes it over, `bulkhead down` gives it back"));
  }
  return report;
}

}  // namespace bulkhead::doctor
