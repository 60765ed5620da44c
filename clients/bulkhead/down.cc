#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "clients/bulkhead/commands.h"
#include "clients/bulkhead/json_view.h"
#include "clients/bulkhead/supervisor_process.h"

namespace bulkhead::cli {

absl::Status RunCommand(const DownOptions&, const Context& context) {
  ASSIGN_OR_RETURN(const ShutDownReport report, ShutDown(context));
  const Console& console = context.console;
  if (!report.forced.empty()) {
    console.Warn(absl::StrCat("ended by signal: ", report.forced));
  }
  if (console.json) {
    console.out << Dump({{"run_dir", context.run_dir.path()},
                         {"ran", report.ran},
                         {"stopped", report.stopped},
                         {"forced", report.forced}})
                << "\n";
  } else if (report.ran) {
    console.out << "down: nothing is left of " << context.run_dir.path()
                << "\n";
  } else {
    console.out << "no Bulkhead runs in " << context.run_dir.path() << "\n";
  }
  return absl::OkStatus();
}

}  // namespace bulkhead::cli
