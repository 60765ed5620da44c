#include <nlohmann/json.hpp>

#include "base/errno_status.h"
#include "clients/bulkhead/commands.h"
#include "clients/bulkhead/connection.h"
#include "clients/bulkhead/json_view.h"
#include "clients/bulkhead/phase.h"
#include "clients/bulkhead/table.h"

namespace bulkhead::cli {

absl::Status RunCommand(const PsOptions&, const Context& context) {
  const auto connection = Connection::Create(context.run_dir);
  ASSIGN_OR_RETURN(const api::Status status, connection->GetStatus());
  const Console& console = context.console;
  if (console.json) {
    console.out << Dump(ToJson(status)["processes"]) << "\n";
    return absl::OkStatus();
  }
  using Align = Table::Align;
  Table table({{"PROCESS"},
               {"KIND"},
               {"PID", Align::kRight},
               {"PHASE"},
               {"GENERATION", Align::kRight},
               {"RESTARTS", Align::kRight},
               {"LAST END"}});
  for (const api::Process& process : status.process()) {
    table.Add({process.name(), process.kind(), PidText(process.pid()),
               PhaseCell(process.phase()), absl::StrCat(process.generation()),
               absl::StrCat(process.restarts()), process.reason()});
  }
  console.out << table.ToText(console);
  return absl::OkStatus();
}

}  // namespace bulkhead::cli
