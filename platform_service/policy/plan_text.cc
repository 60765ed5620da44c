#include "platform_service/policy/plan_text.h"

#include <algorithm>
#include <array>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "platform_service/policy/ip_scalar.h"
#include "platform_service/policy/printable.h"

namespace bulkhead::policy {
namespace {

constexpr size_t kColumns = 5;
using Row = std::array<std::string, kColumns>;

// What people know the NIC by.
std::string NicText(const pci::PciDeviceInfo& device) {
  if (device.source == pci::Source::kLinux) {
    return absl::StrCat(
        "Linux interface (",
        device.kernel_driver.empty() ? "no driver name" : device.kernel_driver,
        "), ", device.mac);
  }
  const std::string kind =
      device.device_name.empty()
          ? absl::StrFormat("%04x:%04x", device.vendor, device.device)
          : device.device_name;
  return device.name.empty() ? kind : absl::StrCat(device.name, ", ", kind);
}

Row RowOf(const PlanEntry& entry) {
  if (!entry.rule.has_value()) {
    return {entry.device.address, NicText(entry.device), "-", "-", "-"};
  }
  return {entry.device.address, NicText(entry.device), entry.rule_place,
          entry.rule->driver, entry.driven() ? entry.instance : "refused"};
}

std::string Columns(const std::vector<Row>& rows) {
  std::array<size_t, kColumns> widths{};
  for (const Row& row : rows) {
    for (size_t i = 0; i < kColumns; ++i) {
      widths[i] = std::max(widths[i], PrintedWidth(row[i]));
    }
  }
  std::string text;
  for (const Row& row : rows) {
    std::string line;
    for (size_t i = 0; i < kColumns; ++i) {
      const size_t gap = widths[i] - PrintedWidth(row[i]) + 2;
      absl::StrAppend(&line, row[i], std::string(gap, ' '));
    }
    absl::StrAppend(&text, absl::StripTrailingAsciiWhitespace(line), "\n");
  }
  return text;
}

using nic_router::DomainConfig;
using nic_router::PolicyRule;
using nic_router::RouterConfig;
using nic_router::UplinkConfig;

// "nic0 or nic1, VLAN 10 of nic2"
std::string UplinksOf(const RouterConfig& config, const std::string& domain) {
  std::vector<std::string> found;
  for (const UplinkConfig& uplink : config.uplinks) {
    const std::string instances = absl::StrJoin(uplink.instances, " or ");
    if (uplink.domain == domain) found.push_back(instances);
    for (const auto& vlan : uplink.vlans) {
      if (vlan.domain != domain) continue;
      found.push_back(absl::StrCat("VLAN ", vlan.vlan, " of ", instances));
    }
  }
  return found.empty() ? "-" : absl::StrJoin(found, ", ");
}

// "probe, vm-*, everybody else"
std::string ClientsOf(const RouterConfig& config, const std::string& domain) {
  std::vector<std::string> found;
  for (const PolicyRule& policy : config.policies) {
    if (policy.domain != domain) continue;
    switch (policy.kind) {
      case PolicyRule::Kind::kExact:
        found.push_back(policy.label);
        break;
      case PolicyRule::Kind::kPrefix:
        found.push_back(absl::StrCat(policy.label, "*"));
        break;
      case PolicyRule::Kind::kSuffix:
        found.push_back(absl::StrCat("*", policy.label));
        break;
      case PolicyRule::Kind::kDefault:
        found.push_back("everybody else");
        break;
    }
  }
  return found.empty() ? "-" : absl::StrJoin(found, ", ");
}

std::string RouterTable(const RouterConfig& config) {
  std::vector<Row> rows = {
      {"DOMAIN", "IPV4", "IPV6", "UPLINK", "CLIENTS"}};
  for (const DomainConfig& domain : config.domains) {
    rows.push_back({domain.name,
                    domain.interface ? Ipv4Text(*domain.interface) : "by DHCP",
                    domain.interface6 ? Ipv6Text(*domain.interface6) : "-",
                    UplinksOf(config, domain.name),
                    ClientsOf(config, domain.name)});
  }
  return absl::StrCat("Router ", config.name, ":\n", Columns(rows), "\n");
}

}  // namespace

std::string PlanTable(const Plan& plan, bool all) {
  std::vector<Row> rows = {{"DEVICE", "NIC", "RULE", "DRIVER", "INSTANCE"}};
  std::string refusals;
  size_t driven = 0;
  size_t refused = 0;
  for (const PlanEntry& entry : plan.entries) {
    driven += entry.driven();
    if (entry.rule.has_value() && !entry.driven()) {
      ++refused;
      absl::StrAppend(&refusals, "  ", entry.device.address, ": ",
                      Printable(entry.refused), "\n");
    }
    if (!entry.rule.has_value() && !all) continue;
    Row row = RowOf(entry);
    for (std::string& cell : row) cell = Printable(cell);
    rows.push_back(std::move(row));
  }
  std::string text = rows.size() > 1 ? Columns(rows) + "\n" : "";
  if (!refusals.empty()) absl::StrAppend(&text, "Refused:\n", refusals, "\n");
  if (plan.router) absl::StrAppend(&text, RouterTable(plan.router->config));
  absl::StrAppend(&text, plan.entries.size(), " devices: ", driven, " driven, ",
                  refused, " refused, ", plan.entries.size() - driven - refused,
                  " without a rule\n");
  return text;
}

std::string PlanJson(const Plan& plan) {
  std::string text = "[";
  for (const PlanEntry& entry : plan.entries) {
    const pci::PciDeviceInfo& device = entry.device;
    absl::StrAppend(
        &text, text.size() > 1 ? "," : "",
        "{\"address\":", JsonString(device.address),
        ",\"name\":", JsonString(device.name),
        ",\"source\":", JsonString(SourceName(device.source)),
        absl::StrFormat(",\"vendor\":\"%04x\",\"device\":\"%04x\"",
                        device.vendor, device.device),
        ",\"used_by\":", JsonString(device.used_by),
        ",\"rule\":", JsonString(entry.rule_place), ",\"driver\":",
        JsonString(entry.rule.has_value() ? entry.rule->driver : ""),
        ",\"instance\":", JsonString(entry.driven() ? entry.instance : ""),
        ",\"refused\":", JsonString(entry.refused), "}");
  }
  text.push_back(']');
  return text;
}

}  // namespace bulkhead::policy
