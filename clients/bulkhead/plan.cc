#include "base/errno_status.h"
#include "clients/bulkhead/commands.h"
#include "clients/bulkhead/scenario_file.h"
#include "platform_service/policy/plan_text.h"

namespace bulkhead::cli {

absl::Status RunCommand(const PlanOptions& options, const Context& context) {
  ASSIGN_OR_RETURN(const policy::Scenario scenario,
                   LoadFile(options.file, context));
  ASSIGN_OR_RETURN(const policy::Plan plan, PlanFor(scenario, context));
  if (context.console.json) {
    context.console.out << policy::PlanJson(plan) << "\n";
  } else {
    context.console.out << policy::PlanTable(plan, options.all);
  }
  return absl::OkStatus();
}

}  // namespace bulkhead::cli
