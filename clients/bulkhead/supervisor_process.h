// Starting the supervisor, and ending it: what `up`, `down` and `demo` share.
#ifndef BULKHEAD_CLIENTS_BULKHEAD_SUPERVISOR_PROCESS_H_
#define BULKHEAD_CLIENTS_BULKHEAD_SUPERVISOR_PROCESS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "clients/bulkhead/commands.h"

namespace bulkhead::cli {

// Starts the supervisor in a session of its own, which brings up the platform
// service for `scenario_path`. Returns as soon as the process runs.
// Errors: ALREADY_EXISTS when a system runs in the run directory; files of a
// killed one are cleaned away first.
absl::StatusOr<RunningSupervisor> StartSupervisor(
    const std::string& scenario_path, const Context& context);

struct ShutDownReport {
  bool ran = false;      // Something was there to end.
  uint32_t stopped = 0;  // Processes ended in an orderly way.
  std::string forced;    // Why it took signals; empty: it did not.
};

// Ends whatever runs in the run directory: in an orderly way through the
// platform service, else by SIGTERM, else by SIGKILL, of the supervisor (whose
// end ends every other process). Then removes the run directory's files (S10).
absl::StatusOr<ShutDownReport> ShutDown(const Context& context);

}  // namespace bulkhead::cli

#endif  // BULKHEAD_CLIENTS_BULKHEAD_SUPERVISOR_PROCESS_H_
