#include <poll.h>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/errno_status.h"
#include "base/stop_signal.h"
#include "clients/bulkhead/await_links.h"
#include "clients/bulkhead/commands.h"
#include "clients/bulkhead/json_view.h"
#include "clients/bulkhead/phase.h"
#include "clients/bulkhead/scenario_file.h"
#include "clients/bulkhead/supervisor_process.h"
#include "clients/bulkhead/table.h"

namespace bulkhead::cli {
namespace {

void PrintInstances(const api::Status& status, const Console& console) {
  if (console.json) {
    console.out << Dump(ToJson(status)) << std::endl;
    return;
  }
  Table table({{"INSTANCE"},
               {"DRIVER"},
               {"DEVICE"},
               {"PID", Table::Align::kRight},
               {"MAC"},
               {"LINK"},
               {"SPARE"}});
  for (const api::Instance& instance : status.instance()) {
    table.Add({instance.name(), instance.driver(), instance.device(),
               PidText(instance.pid()), instance.mac(),
               LinkCell(instance.link_up(), instance.speed_mbps()),
               instance.spare_ready() ? "ready" : "-"});
  }
  console.out << table.ToText(console) << std::flush;
  for (const std::string& warning : status.warning()) console.Warn(warning);
}

// Ctrl-C, or the supervisor's end.
absl::Status StayUntilStopped(const RunningSupervisor& supervisor,
                              const StopSignal& stop, const Context& context) {
  std::array<pollfd, 2> watched = {
      pollfd{.fd = stop.fd(), .events = POLLIN, .revents = 0},
      pollfd{.fd = supervisor.pidfd.get(), .events = POLLIN, .revents = 0}};
  while (::poll(watched.data(), watched.size(), -1) < 0) {
  }
  const bool ended_itself = watched[0].revents == 0;
  ASSIGN_OR_RETURN(const ShutDownReport report, ShutDown(context));
  if (ended_itself) {
    return absl::UnavailableError(
        "the supervisor ended; `bulkhead down` elsewhere, or a signal to it, "
        "does that");
  }
  if (!report.forced.empty()) context.console.Warn(report.forced);
  if (!context.console.json) {
    context.console.out << "down: nothing is left of " << context.run_dir.path()
                        << std::endl;
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RunCommand(const UpOptions& options, const Context& context) {
  const Console& console = context.console;
  const uint64_t started_ns = MonotonicNs();
  ASSIGN_OR_RETURN(const policy::Scenario scenario,
                   LoadFile(options.file, context));
  ASSIGN_OR_RETURN(const policy::Plan plan, PlanFor(scenario, context));
  const std::vector<std::string> instances = InstancesOf(plan);

  const StopSignal stop;
  ASSIGN_OR_RETURN(const RunningSupervisor supervisor,
                   StartSupervisor(options.file, context));
  if (options.wait || options.foreground) {
    const absl::StatusOr<api::Status> status = AwaitLinks(
        instances, supervisor, options.timeout_ms, [&] { return stop.Came(); },
        context);
    if (!status.ok()) {
      const absl::StatusOr<ShutDownReport> down = ShutDown(context);
      if (!down.ok()) console.Warn(down.status().message());
      return status.status();
    }
    PrintInstances(*status, console);
    if (!console.json) {
      console.out << "up in " << Duration(MonotonicNs() - started_ns)
                  << "; run directory " << context.run_dir.path() << std::endl;
    }
  } else if (!console.json) {
    console.out << "starting; run directory " << context.run_dir.path()
                << std::endl;
  }
  if (options.foreground && !console.json) {
    console.out << "Ctrl-C brings it down" << std::endl;
  }
  if (options.foreground) return StayUntilStopped(supervisor, stop, context);
  return absl::OkStatus();
}

}  // namespace bulkhead::cli
