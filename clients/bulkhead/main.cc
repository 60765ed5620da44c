// bulkhead: the operator's command line. It owns nothing: it asks the platform
// service over gRPC, and starts or ends the supervisor.
#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <iostream>
#include <thread>
#include <variant>

#include "clients/bulkhead/command_line.h"
#include "clients/bulkhead/commands.h"
#include "clients/bulkhead/extcap.h"

namespace {

using bulkhead::cli::CommandLine;

// BIN, from where this program lies: BIN/clients/bulkhead/bulkhead.
std::string OwnBinDir() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  return self.parent_path().parent_path().parent_path().string();
}

// Which is no directory, and nothing is below it.
constexpr char kNoRunDir[] = "/dev/null";

// The others look at files only, or make a run directory of their own.
bool NeedsRunDir(const CommandLine& line) {
  using namespace bulkhead::cli;  // NOLINT: four names.
  return !std::holds_alternative<VersionOptions>(line.command) &&
         !std::holds_alternative<DemoOptions>(line.command) &&
         !std::holds_alternative<ValidateOptions>(line.command) &&
         !std::holds_alternative<PlanOptions>(line.command);
}

bool Follows(const CommandLine& line) {
  using namespace bulkhead::cli;  // NOLINT: two names.
  if (const auto* events = std::get_if<EventsOptions>(&line.command)) {
    return events->follow;
  }
  const auto* logs = std::get_if<LogsOptions>(&line.command);
  return logs != nullptr && logs->follow;
}

// Whether standard output is a pipe that nobody reads any more, as in
// `bulkhead events -f | head`. Waits for it when `timeout_ms` is -1.
bool ReaderIsGone(int timeout_ms) {
  pollfd watched = {.fd = STDOUT_FILENO, .events = 0, .revents = 0};
  return ::poll(&watched, 1, timeout_ms) > 0 &&
         (watched.revents & (POLLERR | POLLHUP)) != 0;
}

// These look at a running system only if there is one.
bool CanDoWithoutRunDir(const CommandLine& line) {
  using namespace bulkhead::cli;  // NOLINT: two names.
  return std::holds_alternative<DevicesOptions>(line.command) ||
         std::holds_alternative<DoctorOptions>(line.command);
}

int Run(const CommandLine& line) {
  auto run_dir = bulkhead::cli::RunDir::Resolve(NeedsRunDir(line) ? line.run_dir
                                                                  : kNoRunDir);
  if (!run_dir.ok() && line.run_dir.empty() && CanDoWithoutRunDir(line)) {
    run_dir = bulkhead::cli::RunDir::Resolve(kNoRunDir);
  }
  if (!run_dir.ok()) {
    std::cerr << "bulkhead: " << run_dir.status().message() << "\n";
    return bulkhead::cli::kFailure;
  }
  const bulkhead::cli::Context context = {
      .console = bulkhead::cli::MakeConsole(line.json),
      .run_dir = *std::move(run_dir),
      .bin_dir = line.bin_dir.empty() ? OwnBinDir() : line.bin_dir};
  if (Follows(line)) {
    // There is nothing to undo: this program owns nothing.
    std::thread([] {
      if (ReaderIsGone(-1)) ::_exit(bulkhead::cli::kOk);
    }).detach();
  }
  const absl::Status status = std::visit(
      [&](const auto& options) {
        return bulkhead::cli::RunCommand(options, context);
      },
      line.command);
  std::cout.flush();
  if (status.ok() && !std::cout.good() && !ReaderIsGone(0)) {
    std::cerr << "bulkhead: standard output took no more; is the disk full?\n";
    return bulkhead::cli::kFailure;
  }
  if (status.ok()) return bulkhead::cli::kOk;
  if (!bulkhead::cli::IsAlreadyReported(status)) {
    std::cerr << "bulkhead: " << status.message() << "\n";
  }
  return bulkhead::cli::kFailure;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  if (bulkhead::cli::IsExtcapCall(argc, argv)) {
    return bulkhead::cli::RunExtcap(argc, argv);
  }
  CommandLine line;
  int exit_code = 0;
  if (!bulkhead::cli::ParseCommandLine(argc, argv, line, exit_code)) {
    return exit_code;
  }
  return Run(line);
}
