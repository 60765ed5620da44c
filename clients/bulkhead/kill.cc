#include <csignal>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "clients/bulkhead/commands.h"
#include "clients/bulkhead/connection.h"
#include "clients/bulkhead/json_view.h"

namespace bulkhead::cli {

absl::Status RunCommand(const KillOptions& options, const Context& context) {
  api::KillRequest request;
  request.set_name(options.name);
  request.set_signal(options.signal);
  const auto connection = Connection::Create(context.run_dir);
  ASSIGN_OR_RETURN(const api::KillResponse response, connection->Kill(request));
  if (context.console.json) {
    context.console.out << Dump({{"name", options.name},
                                 {"signal", options.signal},
                                 {"pid", response.pid()}})
                        << "\n";
  } else {
    context.console.out << options.name << ": sent "
                        << SignalName(options.signal) << " to pid "
                        << response.pid() << "\n";
    if (options.name == "supervisor" && options.signal == SIGKILL) {
      context.console.Warn(
          "every process ends with the supervisor; `bulkhead down` clears away "
          "what it left");
    }
  }
  return absl::OkStatus();
}

}  // namespace bulkhead::cli
