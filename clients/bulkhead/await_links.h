// Waiting for a started system to be of use.
#ifndef BULKHEAD_CLIENTS_BULKHEAD_AWAIT_LINKS_H_
#define BULKHEAD_CLIENTS_BULKHEAD_AWAIT_LINKS_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "clients/bulkhead/commands.h"
#include "clients/bulkhead/connection.h"
#include "clients/bulkhead/scenario_file.h"

namespace bulkhead::cli {

// Names of the instances that the plan drives.
std::vector<std::string> InstancesOf(const policy::Plan& plan);

// Returns the system's status once every one of `instances` runs with its link
// up. Errors say which instance is missing and why, with the last lines of the
// logs that concern it: an instance parked, the supervisor ended, `timeout_ms`
// passed, or `interrupted` (asked every few milliseconds) said so.
absl::StatusOr<api::Status> AwaitLinks(
    const std::vector<std::string>& instances,
    const RunningSupervisor& supervisor, uint32_t timeout_ms,
    const std::function<bool()>& interrupted, const Context& context);

}  // namespace bulkhead::cli

#endif  // BULKHEAD_CLIENTS_BULKHEAD_AWAIT_LINKS_H_
