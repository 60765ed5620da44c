#include <nlohmann/json.hpp>

#include "base/errno_status.h"
#include "clients/bulkhead/commands.h"
#include "clients/bulkhead/connection.h"
#include "clients/bulkhead/json_view.h"

namespace bulkhead::cli {

absl::Status RunCommand(const RestartOptions& options, const Context& context) {
  api::RestartRequest request;
  request.set_name(options.name);
  RETURN_IF_ERROR(Connection::Create(context.run_dir)->Restart(request));
  if (context.console.json) {
    context.console.out << Dump({{"name", options.name}, {"restarting", true}})
                        << "\n";
  } else {
    context.console.out << options.name << ": restarting\n";
  }
  return absl::OkStatus();
}

}  // namespace bulkhead::cli
