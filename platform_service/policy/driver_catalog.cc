#include "platform_service/policy/driver_catalog.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace bulkhead::policy {
namespace {

constexpr char kFile[] = "driver.yaml";

// A driver without a description is one for tests: its Probe says what it
// drives, and its device is reset by the bus alone.
void ReadDescription(const std::string& path, DriverProgram* driver) {
  if (!IsRegularFile(path)) return;
  ParsedDescription parsed = ParseDriverDescriptionFile(path);
  if (!parsed.ok()) {
    driver->missing = ToText(parsed.diagnostics);
    return;
  }
  for (const DrivenDevice& device : parsed.description.drives) {
    driver->drives.push_back({device.vendor, device.device});
  }
  driver->reset = std::move(parsed.description.reset);
  driver->socket = parsed.description.socket;
}

}  // namespace

DriverCatalog ListDrivers(const std::string& bin_dir) {
  DriverCatalog catalog;
  const std::string folder = absl::StrCat(bin_dir, "/nic_driver");
  for (const std::string& name : ListProgramFolders(folder, kFile)) {
    DriverProgram& driver = catalog[name];
    driver.path = ProgramPath(folder, name);
    ReadDescription(absl::StrCat(folder, "/", name, "/", kFile), &driver);
    if (std::string why = WhyNotRunnable(driver.path); !why.empty()) {
      driver.missing = std::move(why);
    }
  }
  return catalog;
}

}  // namespace bulkhead::policy
