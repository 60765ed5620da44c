#include "clients/arguments/version.h"

#include <nlohmann/json.hpp>

#include "clients/bulkhead/commands.h"
#include "clients/bulkhead/json_view.h"

namespace bulkhead::cli {

absl::Status RunCommand(const VersionOptions&, const Context& context) {
  if (context.console.json) {
    context.console.out << Dump({{"version", kVersion}, {"api", kApi}}) << "\n";
  } else {
    context.console.out << "bulkhead " << kVersion << " (" << kApi << ")\n";
  }
  return absl::OkStatus();
}

}  // namespace bulkhead::cli
