#include "platform_service/policy/plan_text.h"

#include <algorithm>
#include <array>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
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
