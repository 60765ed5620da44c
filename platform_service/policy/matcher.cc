#include "platform_service/policy/matcher.h"

#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "platform_service/policy/glob.h"
#include "platform_service/policy/instance_pattern.h"

namespace bulkhead::policy {
namespace {

using pci::PciDeviceInfo;
using pci::Source;

constexpr size_t kMaxNameCharacters = 32;
constexpr uint32_t kNetworkClass = 0x02;

// A part that is not given matches anything; one that is given matches nothing
// when the device does not have it.
bool PartMatches(const std::string& glob, const std::string& text) {
  return glob.empty() || (!text.empty() && GlobMatches(glob, text));
}

template <typename T>
bool PartMatches(const std::optional<T>& wanted, T value) {
  return !wanted.has_value() || *wanted == value;
}

bool IsNetworkCard(const PciDeviceInfo& device) {
  return device.source == Source::kLinux ||
         device.class_code >> 16 == kNetworkClass;
}

// S9: one NIC and no other, whatever else there will be. Several interfaces may
// have one MAC address, and the functions of one card one serial number.
bool NamesExactly(const MatchSpec& match, const PciDeviceInfo& device) {
  if (device.source != Source::kLinux) {
    return match.address == absl::AsciiStrToLower(device.address);
  }
  return match.interface == device.interfaces.front() &&
         match.network_namespace == device.network_namespace;
}

// The `match` that does.
std::string ExactMatch(const PciDeviceInfo& device) {
  if (device.source != Source::kLinux) {
    return absl::StrCat("{address: '", device.address, "'}");
  }
  return absl::StrCat(
      "{interface: ", device.interfaces.front(),
      device.network_namespace.empty()
          ? ""
          : absl::StrCat(", namespace: ", device.network_namespace),
      "}");
}

// S9: what the machine uses is taken when the scenario says so in plain words:
// a rule of that NIC alone, with `take: true`. Otherwise why not, or empty.
std::string WhyKept(const DriverRule& rule, const PciDeviceInfo& device,
                    const std::string& rule_place) {
  if (device.used_by.empty()) return "";
  const bool named = NamesExactly(rule.match, device);
  if (rule.take && named) return "";
  return absl::StrCat(
      "the machine itself uses it: ", device.used_by, "; `take: true` in ",
      rule_place,
      named ? " would take it all the same (S9)"
            : absl::StrCat(" counts for exactly one NIC: give it a rule of its "
                           "own before that, with `match: ",
                           ExactMatch(device), "` and `take: true` (S9)"));
}

// Why this rule's driver cannot have the device, or empty. The order is that of
// what matters most to whoever reads it.
std::string WhyRefused(const DriverRule& rule, const PciDeviceInfo& device,
                       const DriverCatalog& drivers,
                       const std::string& rule_place) {
  if (!IsNetworkCard(device)) {
    return absl::StrFormat(
        "it is no network card (class 0x%06x); narrow the `match` of %s",
        device.class_code, rule_place);
  }
  if (device.source == Source::kRecorded) {
    return "it is recorded, so there is nothing to drive; plan only";
  }
  if (std::string kept = WhyKept(rule, device, rule_place); !kept.empty()) {
    return kept;
  }
  const auto program = drivers.find(rule.driver);
  if (program == drivers.end()) {
    return absl::StrCat("there is no driver ", rule.driver,
                        "; name another one in ", rule_place);
  }
  if (!program->second.missing.empty()) {
    return absl::StrCat(
        "the driver ", rule.driver, " cannot be run: ", program->second.missing,
        "; build it with `bazel ", "build //nic_driver/", rule.driver, "`");
  }
  const bool for_interfaces = program->second.socket != SocketKind::kNone;
  if (for_interfaces != (device.source == Source::kLinux)) {
    return for_interfaces
               ? absl::StrCat(rule.driver,
                              " drives Linux interfaces, and this is a PCI "
                              "device; name its driver in ",
                              rule_place)
               : absl::StrCat(rule.driver,
                              " drives PCI devices, and this is a Linux "
                              "interface; name af_xdp or af_packet in ",
                              rule_place);
  }
  const std::vector<PciId>& drives = program->second.drives;
  if (!drives.empty() &&
      std::find(drives.begin(), drives.end(),
                PciId{device.vendor, device.device}) == drives.end()) {
    return absl::StrFormat(
        "%s does not drive %04x:%04x; narrow the `match` of %s, or name "
        "another driver",
        rule.driver, device.vendor, device.device, rule_place);
  }
  return "";
}

// Gives the entries their names, so that a running NIC keeps its own.
class Names {
 public:
  Names(const Scenario& scenario, const Plan* running) : running_(running) {
    for (const SimulatedNic& nic : scenario.simulated) {
      owners_[nic.name] = absl::StrCat("the simulated NIC ", nic.name);
    }
  }

  // All NICs that have a rule get a name; one that cannot have it is refused.
  // What is no NIC gets none, so that it does not count.
  void Give(std::vector<PlanEntry>* entries) {
    // NICs that have their names keep them, before others get the rest.
    for (PlanEntry& entry : *entries) {
      if (IsNic(entry)) Keep(&entry);
    }
    for (PlanEntry& entry : *entries) {
      if (IsNic(entry) && entry.instance.empty()) GiveNew(&entry);
    }
  }

 private:
  using Placeholder = InstancePattern::Placeholder;

  static bool IsNic(const PlanEntry& entry) {
    return entry.rule.has_value() && IsNetworkCard(entry.device);
  }

  // The name that the device has in the running plan, if its rule still makes
  // that name.
  void Keep(PlanEntry* entry) {
    const PlanEntry* before = Before(entry->device);
    const auto pattern = InstancePattern::Parse(entry->rule->instance);
    if (before == nullptr || !pattern.ok() || before->instance.empty() ||
        before->rule->instance != entry->rule->instance) {
      return;
    }
    if (const auto index = pattern->IndexIn(before->instance)) {
      used_[entry->rule->instance].insert(*index);
      Claim(before->instance, entry);
    } else if (pattern->placeholder == Placeholder::kNone &&
               before->refused.empty()) {
      Claim(before->instance, entry);
    }
  }

  void GiveNew(PlanEntry* entry) {
    const auto pattern = InstancePattern::Parse(entry->rule->instance);
    if (!pattern.ok()) {  // Only without the parser.
      Refuse(entry, std::string(pattern.status().message()));
      return;
    }
    size_t index = 0;
    if (pattern->placeholder == Placeholder::kIndex) {
      std::set<size_t>& used = used_[entry->rule->instance];
      while (!used.insert(index).second) ++index;
    }
    if (pattern->placeholder == Placeholder::kName &&
        entry->device.name.empty()) {
      Refuse(entry, absl::StrCat("`instance: ", entry->rule->instance, "` in ",
                                 entry->rule_place,
                                 " needs a NIC with a name, which only "
                                 "simulated NICs have; use {index}"));
      return;
    }
    const std::string name = pattern->Expand(index, entry->device.name);
    if (name.size() > kMaxNameCharacters) {
      Refuse(entry, absl::StrCat("its instance would be called ", name,
                                 ", which is longer than ", kMaxNameCharacters,
                                 " characters; shorten `instance` in ",
                                 entry->rule_place));
      return;
    }
    Claim(name, entry);
  }

  // S1: one name, one NIC.
  void Claim(const std::string& name, PlanEntry* entry) {
    entry->instance = name;
    auto [owner, is_new] = owners_.emplace(name, entry->device.address);
    if (is_new) return;
    Refuse(entry, absl::StrCat("the name ", name, " belongs to ", owner->second,
                               " already (S1); put {index} ",
                               "into `instance` in ", entry->rule_place));
  }

  static void Refuse(PlanEntry* entry, std::string why) {
    if (entry->refused.empty()) entry->refused = std::move(why);
  }

  const PlanEntry* Before(const PciDeviceInfo& device) const {
    if (running_ == nullptr) return nullptr;
    for (const PlanEntry& entry : running_->entries) {
      if (entry.rule.has_value() &&
          DeviceKey(entry.device) == DeviceKey(device)) {
        return &entry;
      }
    }
    return nullptr;
  }

  const Plan* const running_;
  std::map<std::string, std::string> owners_;     // Of each name.
  std::map<std::string, std::set<size_t>> used_;  // Indices of each pattern.
};

// S3: the functions of one IOMMU group reach each other's memory, so that one
// of them is driven: the one that is already, else the first.
void DriveOneOfEachGroup(const Plan* running, std::vector<PlanEntry>* entries) {
  const auto runs = [running](const PlanEntry& entry) {
    const PlanEntry* now =
        running == nullptr ? nullptr : running->Find(entry.instance);
    return now != nullptr && now->device.address == entry.device.address;
  };
  const auto counts = [](const PlanEntry& entry) {
    return entry.driven() && entry.device.source == Source::kSysfs &&
           entry.device.iommu_group >= 0;
  };
  std::map<int, const PlanEntry*> owners;
  for (const PlanEntry& entry : *entries) {
    if (!counts(entry)) continue;
    const PlanEntry*& owner = owners[entry.device.iommu_group];
    if (owner == nullptr || (runs(entry) && !runs(*owner))) owner = &entry;
  }
  for (PlanEntry& entry : *entries) {
    if (!counts(entry)) continue;
    const PlanEntry* owner = owners[entry.device.iommu_group];
    if (owner == &entry) continue;
    entry.refused = absl::StrCat(
        "its IOMMU group ", entry.device.iommu_group, " also holds ",
        owner->device.address, ", which is to be ", owner->instance,
        ": the IOMMU cannot tell them apart, so only one of them is driven "
        "(S3); move one to another slot, or narrow the `match` of ",
        entry.rule_place, " to the one that is wanted");
  }
}

}  // namespace

const PlanEntry* Plan::Find(const std::string& instance) const {
  for (const PlanEntry& entry : entries) {
    if (entry.driven() && entry.instance == instance) return &entry;
  }
  return nullptr;
}

std::string DeviceKey(const PciDeviceInfo& device) {
  return device.source == Source::kSimulated && !device.name.empty()
             ? device.name
             : device.address;
}

bool Matches(const MatchSpec& match, const PciDeviceInfo& device) {
  if (match.of_interfaces() != (device.source == Source::kLinux)) return false;
  if (match.of_interfaces()) {
    return PartMatches(match.interface, device.interfaces.front()) &&
           PartMatches(match.kernel_driver, device.kernel_driver) &&
           PartMatches(match.mac, device.mac) &&
           PartMatches(match.network_namespace, device.network_namespace);
  }
  return (device.class_code & match.class_mask) == match.class_value &&
         PartMatches(match.vendor, device.vendor) &&
         PartMatches(match.device, device.device) &&
         PartMatches(match.subsystem_vendor, device.subsystem_vendor) &&
         PartMatches(match.subsystem_device, device.subsystem_device) &&
         PartMatches(match.address, absl::AsciiStrToLower(device.address)) &&
         PartMatches(match.slot, device.slot) &&
         PartMatches(match.serial, absl::AsciiStrToLower(device.serial)) &&
         PartMatches(match.name, device.name);
}

Plan MakePlan(const Scenario& scenario,
              const std::vector<PciDeviceInfo>& devices,
              const DriverCatalog& drivers, const Plan* running) {
  Plan plan;
  plan.simulated = scenario.simulated;
  plan.clients = scenario.clients;
  plan.router = scenario.router;
  std::set<std::string> seen;
  for (const PciDeviceInfo& device : devices) {
    // S1: a device that is listed twice is one device.
    if (!seen.insert(DeviceKey(device)).second) continue;
    PlanEntry& entry = plan.entries.emplace_back();
    entry.device = device;
    for (const DriverRule& rule : scenario.drivers) {
      if (!Matches(rule.match, device)) continue;
      entry.rule = rule;
      entry.rule_place = absl::StrCat(scenario.path, ":", rule.line.number);
      entry.refused = WhyRefused(rule, device, drivers, entry.rule_place);
      break;
    }
  }
  Names(scenario, running).Give(&plan.entries);
  DriveOneOfEachGroup(running, &plan.entries);
  return plan;
}

absl::StatusOr<uint64_t> MayOpen(
    const std::optional<std::vector<ClientRule>>& clients,
    const std::string& label, const std::string& instance) {
  if (!clients.has_value()) return 0;
  std::vector<std::string> labels;
  for (const ClientRule& client : *clients) {
    labels.push_back(client.label);
    if (client.label != label) continue;
    for (const std::string& glob : client.may_open) {
      if (GlobMatches(glob, instance)) return client.memory_bytes;
    }
    return absl::PermissionDeniedError(absl::StrCat(
        "cannot open ", instance, ": the client `", label, "` may open ",
        client.may_open.empty() ? "nothing"
                                : absl::StrJoin(client.may_open, ", "),
        " only; add it to `may_open` of that client in the scenario"));
  }
  return absl::PermissionDeniedError(absl::StrCat(
      "cannot open ", instance, ": the scenario has no client `", label,
      "`; add it to `clients`, or use a label that is there: ",
      labels.empty() ? "there is none" : absl::StrJoin(labels, ", ")));
}

}  // namespace bulkhead::policy
