#include "clients/bulkhead/scenario_file.h"

#include "base/errno_status.h"
#include "platform_service/policy/expected_devices.h"

namespace bulkhead::cli {

policy::ParsedScenario ParseFile(const std::string& path,
                                 const Context& context) {
  policy::ParseOptions options;
  const policy::DriverCatalog drivers = policy::ListDrivers(context.bin_dir);
  options.drivers = &drivers;
  const policy::ModelCatalog models = policy::ListModels(context.bin_dir);
  options.models = &models;
  return policy::ParseScenarioFile(path, options);
}

absl::StatusOr<policy::Scenario> LoadFile(const std::string& path,
                                          const Context& context) {
  policy::ParsedScenario parsed = ParseFile(path, context);
  if (parsed.ok()) return std::move(parsed.scenario);
  if (context.console.json) {
    context.console.out << policy::ToJson(parsed.diagnostics) << "\n";
  } else {
    context.console.err << policy::ToText(parsed.diagnostics);
  }
  return AlreadyReported();
}

absl::StatusOr<policy::Plan> PlanFor(const policy::Scenario& scenario,
                                     const Context& context) {
  ASSIGN_OR_RETURN(
      const pci::BusListing listing,
      policy::ExpectedDevices(scenario, policy::ListModels(context.bin_dir)));
  for (const std::string& warning : listing.warnings) {
    context.console.Warn(warning);
  }
  return policy::MakePlan(scenario, listing.devices,
                          policy::ListDrivers(context.bin_dir));
}

}  // namespace bulkhead::cli
