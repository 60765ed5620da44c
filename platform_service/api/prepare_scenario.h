// Everything about a scenario that takes time: reading it, and looking at the
// devices that it names.
#ifndef BULKHEAD_PLATFORM_SERVICE_API_PREPARE_SCENARIO_H_
#define BULKHEAD_PLATFORM_SERVICE_API_PREPARE_SCENARIO_H_

#include <string>

#include "absl/status/statusor.h"
#include "platform_service/api/operator_api.h"

namespace bulkhead::platform {

// `path` is for messages and relative names in `text`. InvalidArgument with one
// `file:line:column:` a line when the text is no good scenario.
// Threading: any thread.
absl::StatusOr<PreparedScenario> PrepareScenario(const std::string& text,
                                                 const std::string& path,
                                                 const std::string& bin_dir);

// Reads the text from `path`: a regular file of at most 1 MiB.
absl::StatusOr<PreparedScenario> PrepareScenarioFile(
    const std::string& path, const std::string& bin_dir);

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_API_PREPARE_SCENARIO_H_
