// From a YAML text to a Scenario. The one file that includes yaml-cpp is
// yaml_tree.cc.
//
// Guarantees: never throws, never runs a program, opens no file but the one it
// is told to; time and memory are bounded by the size of the text, whatever it
// says (at most 1 MiB; no aliases; at most 16 levels). Every error of the file
// is reported, in the order of the lines, up to 100.
// Threading: pure; any thread.
#ifndef BULKHEAD_PLATFORM_SERVICE_POLICY_SCENARIO_PARSER_H_
#define BULKHEAD_PLATFORM_SERVICE_POLICY_SCENARIO_PARSER_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "platform_service/policy/diagnostic.h"
#include "platform_service/policy/driver_catalog.h"
#include "platform_service/policy/model_catalog.h"
#include "platform_service/policy/scenario.h"

namespace bulkhead::policy {

struct ParseOptions {
  // The drivers and the models that may be named, those found in the --bin_dir;
  // null: any.
  const DriverCatalog* drivers = nullptr;
  const ModelCatalog* models = nullptr;
};

struct ParsedScenario {
  Scenario scenario;  // Of use only when ok().
  std::vector<Diagnostic> diagnostics;

  bool ok() const { return diagnostics.empty(); }
};

// Reads `text`. `path` stands in messages, and relative file names in the text
// are relative to its folder.
ParsedScenario ParseScenario(absl::string_view text, const std::string& path,
                             const ParseOptions& options = {});

// Reads the file at `path`: a regular file of at most 1 MiB.
ParsedScenario ParseScenarioFile(const std::string& path,
                                 const ParseOptions& options = {});

// As ParseScenarioFile; the error is INVALID_ARGUMENT with ToText of all
// diagnostics.
absl::StatusOr<Scenario> LoadScenario(const std::string& path,
                                      const ParseOptions& options = {});

}  // namespace bulkhead::policy

#endif  // BULKHEAD_PLATFORM_SERVICE_POLICY_SCENARIO_PARSER_H_
