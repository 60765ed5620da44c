#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/stop_signal.h"
#include "clients/bulkhead/await_links.h"
#include "clients/bulkhead/commands.h"
#include "clients/bulkhead/connection.h"
#include "clients/bulkhead/json_view.h"
#include "clients/bulkhead/scenario_file.h"

namespace bulkhead::cli {
namespace {

absl::StatusOr<std::string> ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file.good()) return ErrnoStatus(absl::StrCat("read ", path));
  return text.str();
}

// Until every instance runs with its link up, as `up` does. What was not up
// before the change is not the change's to bring up.
absl::Status AwaitInstances(const ApplyOptions& options,
                            const api::ListInstancesResponse& before,
                            const StopSignal& stop, Connection& connection,
                            const Context& context) {
  ASSIGN_OR_RETURN(const api::ListInstancesResponse instances,
                   connection.ListInstances());
  std::set<std::string> names;
  for (const api::Instance& instance : instances.instance()) {
    names.insert(instance.name());
  }
  for (const api::Instance& instance : before.instance()) {
    if (instance.phase() == "running" && instance.link_up()) continue;
    names.erase(instance.name());
  }
  ASSIGN_OR_RETURN(const auto supervisor, context.run_dir.FindSupervisor());
  if (!supervisor.has_value()) return context.run_dir.NothingRuns();
  const absl::StatusOr<api::Status> status = AwaitLinks(
      {names.begin(), names.end()}, *supervisor, options.timeout_ms,
      [&stop] { return stop.Came(); }, context);
  if (status.ok()) return absl::OkStatus();
  return absl::Status(status.status().code(),
                      absl::StrCat("the scenario was applied, but ",
                                   status.status().message()));
}

void Print(const ApplyOptions& options, const api::ApplyResponse& response,
           const Console& console) {
  if (console.json) {
    Json actions = Json::array();
    for (const std::string& action : response.action()) {
      actions.push_back(action);
    }
    console.out << Dump({{"file", options.file},
                         {"dry_run", options.dry_run},
                         {"actions", actions}})
                << "\n";
    return;
  }
  for (const std::string& action : response.action()) {
    console.out << action << "\n";
  }
  if (response.action().empty()) {
    console.out << "nothing to change: the system is as " << options.file
                << " says\n";
  } else if (options.dry_run) {
    console.out << "dry run: nothing was done\n";
  }
}

}  // namespace

absl::Status RunCommand(const ApplyOptions& options, const Context& context) {
  // Checked here first, so that the errors come with their excerpts.
  RETURN_IF_ERROR(LoadFile(options.file, context).status());
  ASSIGN_OR_RETURN(const std::string text, ReadAll(options.file));

  api::ApplyRequest request;
  // Relative names in the file are relative to its folder, and the platform
  // service has another working directory.
  request.set_path(std::filesystem::absolute(options.file).string());
  request.set_text(text);
  request.set_dry_run(options.dry_run);
  const StopSignal stop;  // Before gRPC starts threads.
  const auto connection = Connection::Create(context.run_dir);
  ASSIGN_OR_RETURN(const api::ListInstancesResponse before,
                   connection->ListInstances());
  ASSIGN_OR_RETURN(const api::ApplyResponse response,
                   connection->Apply(request));
  Print(options, response, context.console);
  if (options.dry_run || !options.wait) return absl::OkStatus();
  return AwaitInstances(options, before, stop, *connection, context);
}

}  // namespace bulkhead::cli
