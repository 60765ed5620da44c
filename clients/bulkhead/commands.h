// The commands, one file each.
#ifndef BULKHEAD_CLIENTS_BULKHEAD_COMMANDS_H_
#define BULKHEAD_CLIENTS_BULKHEAD_COMMANDS_H_

#include <string>

#include "absl/status/status.h"
#include "clients/bulkhead/command_line.h"
#include "clients/bulkhead/console.h"
#include "clients/bulkhead/run_dir.h"

namespace bulkhead::cli {

// What every command has at hand.
struct Context {
  Console console;
  RunDir run_dir;
  std::string bin_dir;  // BIN: holds supervisor/supervisor and so on.
};

// Errors of a command that has already said everything; the program ends with
// kFailure and prints nothing more.
absl::Status AlreadyReported();
bool IsAlreadyReported(const absl::Status& status);

// Each prints its data to console.out. A status that is not ok is printed by
// main as "bulkhead: MESSAGE" and ends the program with kFailure.
absl::Status RunCommand(const DemoOptions& options, const Context& context);
absl::Status RunCommand(const ValidateOptions& options, const Context& context);
absl::Status RunCommand(const PlanOptions& options, const Context& context);
absl::Status RunCommand(const UpOptions& options, const Context& context);
absl::Status RunCommand(const DownOptions& options, const Context& context);
absl::Status RunCommand(const PsOptions& options, const Context& context);
absl::Status RunCommand(const StatusOptions& options, const Context& context);
absl::Status RunCommand(const KillOptions& options, const Context& context);
absl::Status RunCommand(const RestartOptions& options, const Context& context);
absl::Status RunCommand(const ApplyOptions& options, const Context& context);
absl::Status RunCommand(const EventsOptions& options, const Context& context);
absl::Status RunCommand(const LogsOptions& options, const Context& context);
absl::Status RunCommand(const DevicesOptions& options, const Context& context);
absl::Status RunCommand(const DoctorOptions& options, const Context& context);
absl::Status RunCommand(const CaptureOptions& options, const Context& context);
absl::Status RunCommand(const RouterOptions& options, const Context& context);
absl::Status RunCommand(const VersionOptions& options, const Context& context);

}  // namespace bulkhead::cli

#endif  // BULKHEAD_CLIENTS_BULKHEAD_COMMANDS_H_
