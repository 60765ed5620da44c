// Which driver programs there are.
#ifndef BULKHEAD_PLATFORM_SERVICE_POLICY_DRIVER_CATALOG_H_
#define BULKHEAD_PLATFORM_SERVICE_POLICY_DRIVER_CATALOG_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "platform_service/policy/driver_description.h"
#include "platform_service/policy/program_folder.h"

namespace bulkhead::policy {

struct PciId {
  uint16_t vendor;
  uint16_t device;

  bool operator==(const PciId&) const = default;
};

struct DriverProgram {
  std::string path;     // BIN/nic_driver/NAME/NAME
  std::string missing;  // Why it cannot be run; empty: it can.
  // The NICs that it can drive; empty: that is for its Probe to say.
  std::vector<PciId> drives;
  ResetDescription reset = {};
  SocketKind socket = SocketKind::kNone;  // It drives Linux interfaces by it.
};

using DriverCatalog = std::map<std::string, DriverProgram>;

// Every NAME with an executable `bin_dir`/nic_driver/NAME/NAME or a driver.yaml
// (driver_description.h) in its place. Looks at the file system, runs nothing.
DriverCatalog ListDrivers(const std::string& bin_dir);

inline bool IsDriverName(absl::string_view name) { return IsProgramName(name); }

}  // namespace bulkhead::policy

#endif  // BULKHEAD_PLATFORM_SERVICE_POLICY_DRIVER_CATALOG_H_
