// Reading the scenario file that a command was given, and saying what is wrong
// with it.
#ifndef BULKHEAD_CLIENTS_BULKHEAD_SCENARIO_FILE_H_
#define BULKHEAD_CLIENTS_BULKHEAD_SCENARIO_FILE_H_

#include <string>

#include "absl/status/statusor.h"
#include "clients/bulkhead/commands.h"
#include "platform_service/policy/matcher.h"
#include "platform_service/policy/scenario_parser.h"

namespace bulkhead::cli {

// Parses the file; drivers found in the context's bin_dir may be named too.
policy::ParsedScenario ParseFile(const std::string& path,
                                 const Context& context);

// As ParseFile; every error of the file was printed to console.err (with
// --json: to console.out as a JSON array) when the status is AlreadyReported.
absl::StatusOr<policy::Scenario> LoadFile(const std::string& path,
                                          const Context& context);

// What the scenario would make of the devices there are.
absl::StatusOr<policy::Plan> PlanFor(const policy::Scenario& scenario,
                                     const Context& context);

}  // namespace bulkhead::cli

#endif  // BULKHEAD_CLIENTS_BULKHEAD_SCENARIO_FILE_H_
