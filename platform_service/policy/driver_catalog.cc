#include "platform_service/policy/driver_catalog.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace bulkhead::policy {
namespace {

// The drivers of this tree, and what each one's Probe accepts.
const std::map<std::string, std::vector<PciId>>& DriverTable() {
  static const auto* const kTable =
      new std::map<std::string, std::vector<PciId>>{
          {"e1000e", {{0x8086, 0x10d3}}},
      };
  return *kTable;
}

}  // namespace

const std::vector<std::string>& KnownDrivers() {
  static const auto* const kDrivers = [] {
    auto* const names = new std::vector<std::string>();
    for (const auto& [name, drives] : DriverTable()) names->push_back(name);
    return names;
  }();
  return *kDrivers;
}

DriverCatalog ListDrivers(const std::string& bin_dir) {
  DriverCatalog catalog;
  const std::string folder = absl::StrCat(bin_dir, "/nic_driver");
  const auto add = [&](const std::string& name, std::vector<PciId> drives) {
    const std::string path = ProgramPath(folder, name);
    catalog.try_emplace(
        name, DriverProgram{path, WhyNotRunnable(path), std::move(drives)});
  };
  for (const auto& [name, drives] : DriverTable()) add(name, drives);
  for (const std::string& name : ListProgramFolders(folder, "driver.yaml")) {
    add(name, {});
  }
  return catalog;
}

}  // namespace bulkhead::policy
