// bulkhead: the operator's command line. It owns nothing: it asks the platform
// service over gRPC, and starts or ends the supervisor.
#include <csignal>
#include <filesystem>
#include <iostream>
#include <variant>

#include "clients/bulkhead/command_line.h"
#include "clients/bulkhead/commands.h"

namespace {

using bulkhead::cli::CommandLine;

// BIN, from where this program lies: BIN/clients/bulkhead/bulkhead.
std::string OwnBinDir() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  return self.parent_path().parent_path().parent_path().string();
}

int Run(const CommandLine& line) {
  auto run_dir = bulkhead::cli::RunDir::Resolve(line.run_dir);
  if (!run_dir.ok()) {
    std::cerr << "bulkhead: " << run_dir.status().message() << "\n";
    return bulkhead::cli::kFailure;
  }
  const bulkhead::cli::Context context = {
      .console = bulkhead::cli::MakeConsole(line.json),
      .run_dir = *std::move(run_dir),
      .bin_dir = line.bin_dir.empty() ? OwnBinDir() : line.bin_dir};
  const absl::Status status = std::visit(
      [&](const auto& options) {
        return bulkhead::cli::RunCommand(options, context);
      },
      line.command);
  std::cout.flush();
  if (status.ok() && !std::cout.good()) {
    std::cerr << "bulkhead: standard output took no more: the disk is full, or "
                 "its reader is gone\n";
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
  CommandLine line;
  int exit_code = 0;
  if (!bulkhead::cli::ParseCommandLine(argc, argv, line, exit_code)) {
    return exit_code;
  }
  return Run(line);
}
