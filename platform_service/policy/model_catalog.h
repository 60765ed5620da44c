// Which simulated NICs there are: programs BIN/nic_model/NAME/NAME, each with a
// description model.yaml beside it that says how it announces itself.
#ifndef BULKHEAD_PLATFORM_SERVICE_POLICY_MODEL_CATALOG_H_
#define BULKHEAD_PLATFORM_SERVICE_POLICY_MODEL_CATALOG_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "platform_service/policy/diagnostic.h"

namespace bulkhead::policy {

// What config space will say, and the names that pci.ids has for it.
struct Announced {
  uint16_t vendor = 0;
  uint16_t device = 0;
  uint16_t subsystem_vendor = 0;
  uint16_t subsystem_device = 0;
  uint32_t class_code = 0x020000;
  uint8_t revision = 0;
  std::string vendor_name;
  std::string device_name;
  std::string class_name;
};

struct ModelProgram {
  std::string path;     // BIN/nic_model/NAME/NAME
  std::string missing;  // Why it cannot be run; empty: it can.
  Announced announced;
};

using ModelCatalog = std::map<std::string, ModelProgram>;

// Every NAME with a program or a model.yaml in `bin_dir`/nic_model/NAME. Looks
// at the file system, runs nothing.
ModelCatalog ListModels(const std::string& bin_dir);

// Reads a model.yaml. `path` stands in messages. Never throws; bounded by the
// size of the text. False: `diagnostics` says what is wrong, by place.
bool ParseModelDescription(absl::string_view text, const std::string& path,
                           Announced* announced,
                           std::vector<Diagnostic>* diagnostics);

}  // namespace bulkhead::policy

#endif  // BULKHEAD_PLATFORM_SERVICE_POLICY_MODEL_CATALOG_H_
