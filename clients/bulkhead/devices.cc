// Every device that Bulkhead could drive, or does: this machine's PCI functions
// and Linux interfaces as the kernel shows them, and what the running system
// says of them.
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/errno_status.h"
#include "clients/bulkhead/commands.h"
#include "clients/bulkhead/connection.h"
#include "clients/bulkhead/json_view.h"
#include "clients/bulkhead/local_machine.h"
#include "clients/bulkhead/scenario_file.h"
#include "clients/bulkhead/table.h"
#include "platform_service/doctor/diagnosis.h"
#include "platform_service/linux_interface/enumerate.h"
#include "platform_service/pci/enumerate.h"

namespace bulkhead::cli {
namespace {

constexpr uint32_t kNetwork = 0x02;  // Class.
constexpr char kLinux[] = "linux";   // Source.

struct Row {
  api::Device device;
  std::string class_name;
  int iommu_group = -1;
  std::vector<std::string> group_members;
  int numa_node = -1;
  std::string shared_with;  // What is in the way of taking its group.
};
// By address; a recorded device may have that of one that is here.
using Rows = std::map<std::string, Row>;

Row LocalRow(const doctor::Machine& machine, const pci::PciDeviceInfo& info) {
  Row row;
  api::Device& device = row.device;
  device.set_address(info.address);
  device.set_source(pci::SourceName(info.source));
  device.set_vendor(info.vendor);
  device.set_device(info.device);
  device.set_subsystem_vendor(info.subsystem_vendor);
  device.set_subsystem_device(info.subsystem_device);
  device.set_class_code(info.class_code);
  device.set_revision(info.revision);
  device.set_vendor_name(info.vendor_name);
  device.set_device_name(info.device_name);
  device.set_kernel_driver(info.kernel_driver);
  for (const std::string& interface : info.interfaces) {
    device.add_interfaces(interface);
  }
  device.set_used_by(info.used_by);
  device.set_serial(info.serial);
  device.set_slot(info.slot);
  device.set_mac(info.mac);
  device.set_network_namespace(info.network_namespace);
  row.class_name = info.class_name;
  row.iommu_group = info.iommu_group;
  row.numa_node = info.numa_node;
  const auto group = machine.groups.find(info.iommu_group);
  if (group != machine.groups.end()) row.group_members = group->second.members;
  row.shared_with = doctor::SharedWith(machine, info);
  return row;
}

// What the running system knows: who drives what, and its simulated NICs.
absl::Status AddRunning(const Context& context, Rows* rows) {
  ASSIGN_OR_RETURN(const auto supervisor, context.run_dir.FindSupervisor());
  if (!supervisor.has_value()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const api::ListDevicesResponse devices,
                   Connection::Create(context.run_dir)->ListDevices());
  for (const api::Device& device : devices.device()) {
    Row& row = (*rows)[absl::StrCat(
        device.address(), device.source() == "recorded" ? " recorded" : "")];
    if (row.device.address().empty()) {
      row.device = device;
      if (device.source() == kLinux) row.class_name = "Linux interface";
      if (device.source() == kLinux) continue;
      pci::PciDeviceInfo names;
      names.class_code = device.class_code();
      pci::FillNames(&names);
      row.class_name = names.class_name;
    }
    // What a card was used for went with its interface when it was taken.
    if (!device.instance().empty() && row.device.used_by().empty()) {
      row.device.set_used_by(device.used_by());
    }
    row.device.set_instance(device.instance());
    row.device.set_rule(device.rule());
    row.device.set_refused(device.refused());
  }
  return absl::OkStatus();
}

// What the rules of a scenario would make of the devices.
absl::Status AddRules(const std::string& file,
                      const std::vector<pci::PciDeviceInfo>& devices,
                      const Context& context, Rows* rows) {
  ASSIGN_OR_RETURN(const policy::Scenario scenario, LoadFile(file, context));
  if (!scenario.devices.sysfs && !scenario.devices.interfaces) {
    context.console.Warn(absl::StrCat(
        file,
        " does not ask for this machine's devices; its rules apply to them "
        "with `devices: {sysfs: true}`"));
  }
  const policy::Plan plan =
      policy::MakePlan(scenario, devices, policy::ListDrivers(context.bin_dir));
  for (const policy::PlanEntry& entry : plan.entries) {
    const auto row = rows->find(entry.device.address);
    if (row == rows->end()) continue;
    row->second.device.set_rule(entry.rule_place);
    row->second.device.set_refused(entry.refused);
  }
  return absl::OkStatus();
}

std::string OrDash(int number) {
  return number < 0 ? "-" : absl::StrCat(number);
}
std::string OrDash(const std::string& text) {
  return text.empty() ? "-" : text;
}

// "82574L Gigabit Network Connection", with the scenario's name in front.
std::string NameOf(const api::Device& device) {
  if (device.name().empty()) return OrDash(device.device_name());
  return device.device_name().empty()
             ? device.name()
             : absl::StrCat(device.name(), ": ", device.device_name());
}

Table::Cell StateOf(const Row& row) {
  const api::Device& device = row.device;
  if (!device.instance().empty()) {
    return {absl::StrCat("driven by ", device.instance()), Colour::kGood};
  }
  if (!device.used_by().empty()) return {"the machine's own"};
  if (!device.refused().empty()) {
    return {absl::StrCat("refused: ", device.refused()), Colour::kBad};
  }
  if (!row.shared_with.empty()) return {row.shared_with, Colour::kWarn};
  if (!device.interfaces().empty()) {
    return {absl::StrCat("idle: ", absl::StrJoin(device.interfaces(), ", "))};
  }
  return {device.class_code() >> 16 == kNetwork ? "free" : "no network card",
          Colour::kDim};
}

std::string IdOf(const api::Device& device) {
  return device.source() == kLinux
             ? "-"
             : absl::StrFormat("%04x:%04x", device.vendor(), device.device());
}

// "7 with 0000:00:1f.3"
std::string GroupText(const Row& row) {
  std::vector<std::string> others = row.group_members;
  others.erase(std::remove(others.begin(), others.end(), row.device.address()),
               others.end());
  return others.empty() ? OrDash(row.iommu_group)
                        : absl::StrCat(row.iommu_group, " with ",
                                       absl::StrJoin(others, ", "));
}

void PrintTable(const Rows& rows, const Console& console) {
  const bool rules = std::any_of(rows.begin(), rows.end(), [](const auto& row) {
    return !row.second.device.rule().empty();
  });
  std::vector<Table::Column> columns = {{"ADDRESS"}, {"ID"},     {"NAME"},
                                        {"CLASS"},   {"DRIVER"}, {"GROUP"},
                                        {"NUMA"},    {"USED BY"}};
  if (rules) columns.push_back({"RULE"});
  columns.push_back({"STATE"});
  Table table(columns);
  for (const auto& [key, row] : rows) {
    const api::Device& device = row.device;
    std::vector<Table::Cell> cells = {
        device.address(),
        IdOf(device),
        NameOf(device),
        OrDash(row.class_name),
        device.source() == "sysfs" || device.source() == kLinux
            ? OrDash(device.kernel_driver())
            : device.source(),
        GroupText(row),
        OrDash(row.numa_node),
        OrDash(device.used_by())};
    if (rules) cells.emplace_back(OrDash(device.rule()));
    cells.push_back(StateOf(row));
    table.Add(std::move(cells));
  }
  console.out << table.ToText(console);
}

void PrintOne(const Row& row, const Console& console) {
  const api::Device& device = row.device;
  const auto line = [&](const char* name, const std::string& value) {
    if (!value.empty()) {
      console.out << absl::StrFormat("  %-12s%s\n", name, value);
    }
  };
  console.out << console.Paint(Colour::kBold, device.address()) << "\n";
  if (device.source() == kLinux) {
    line("mac", device.mac());
    line("namespace", device.network_namespace());
  } else {
    line("vendor",
         absl::StrFormat("%04x  %s", device.vendor(), device.vendor_name()));
    line("device",
         absl::StrFormat("%04x  %s", device.device(), device.device_name()));
    line("subsystem", absl::StrFormat("%04x:%04x", device.subsystem_vendor(),
                                      device.subsystem_device()));
    line("class",
         absl::StrFormat("%06x  %s", device.class_code(), row.class_name));
  }
  line("serial", device.serial());
  line("slot", device.slot());
  line("driver", OrDash(device.kernel_driver()));
  line("interfaces", absl::StrJoin(device.interfaces(), ", "));
  line("used by", device.used_by());
  line("IOMMU group", OrDash(row.iommu_group));
  line("with", absl::StrJoin(row.group_members, ", "));
  line("NUMA node", OrDash(row.numa_node));
  line("rule", device.rule());
  line("state", StateOf(row).text);
}

Json RowJson(const Row& row) {
  Json json = ToJson(row.device);
  json["class_name"] = row.class_name;
  json["iommu_group"] =
      row.iommu_group < 0 ? Json(nullptr) : Json(row.iommu_group);
  json["iommu_group_members"] = row.group_members;
  json["numa_node"] = row.numa_node < 0 ? Json(nullptr) : Json(row.numa_node);
  return json;
}

void Print(const Rows& rows, bool one, const Console& console) {
  if (console.json) {
    Json list = Json::array();
    for (const auto& [address, row] : rows) list.push_back(RowJson(row));
    console.out << Dump(one ? list[0] : list) << "\n";
  } else if (one) {
    PrintOne(rows.begin()->second, console);
  } else if (rows.empty()) {
    console.out << "there is no network card; `bulkhead devices --all` lists "
                   "every PCI device\n";
  } else {
    PrintTable(rows, console);
  }
}

// Simulated and recorded devices were chosen by the scenario; of the machine's
// own only network cards are of interest.
bool IsShown(const Row& row, const DevicesOptions& options) {
  return options.all || row.device.source() != "sysfs" ||
         row.device.class_code() >> 16 == kNetwork;
}

}  // namespace

absl::Status RunCommand(const DevicesOptions& options, const Context& context) {
  ASSIGN_OR_RETURN(const doctor::Machine machine,
                   ExamineLocal(options.root, context.console));
  Rows rows;
  std::vector<pci::PciDeviceInfo> devices = machine.devices;
  if (options.root.empty()) {
    auto interfaces = platform::EnumerateInterfaces("");
    if (!interfaces.ok()) context.console.Warn(interfaces.status().message());
    for (pci::PciDeviceInfo& interface :
         interfaces.value_or(std::vector<pci::PciDeviceInfo>())) {
      interface.class_name = "Linux interface";
      interface.device_name = "";
      devices.push_back(std::move(interface));
    }
  }
  for (const pci::PciDeviceInfo& device : devices) {
    rows[device.address] = LocalRow(machine, device);
  }
  if (options.root.empty()) {
    const absl::Status running = AddRunning(context, &rows);
    if (!running.ok()) context.console.Warn(running.message());
  }
  if (!options.rules.empty()) {
    RETURN_IF_ERROR(AddRules(options.rules, devices, context, &rows));
  }
  if (!options.device.empty()) {
    std::string address = AddressOf(machine, options.device);
    // An interface of that name before the card that it is on.
    if (rows.count(options.device) != 0) address = options.device;
    for (const auto& [found, row] : rows) {
      if (row.device.name() == options.device) address = found;
    }
    const auto row = rows.find(address);
    if (row == rows.end()) return NoSuchDevice(machine, options.device);
    Print({*row}, true, context.console);
    return absl::OkStatus();
  }
  for (auto it = rows.begin(); it != rows.end();) {
    it = IsShown(it->second, options) ? std::next(it) : rows.erase(it);
  }
  Print(rows, false, context.console);
  return absl::OkStatus();
}

}  // namespace bulkhead::cli
