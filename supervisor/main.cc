// supervisor --run_dir=DIR --bin_dir=DIR --platform=PATH [-- ARGUMENTS…]
//
// Runs in the foreground until SIGTERM, SIGINT or ShutDown. Exit status: 0
// after an orderly end, 1 when the platform service or the start failed, 2 on
// wrong usage.
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>

#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/errno_status.h"
#include "base/event_loop.h"
#include "base/log.h"
#include "supervisor/platform_process.h"
#include "supervisor/run_directory.h"
#include "supervisor/supervisor.h"

namespace bulkhead::supervisor {
namespace {

constexpr char kUsage[] =
    "usage: supervisor --run_dir=DIR --bin_dir=DIR --platform=PATH "
    "[-- ARGUMENTS OF THE PLATFORM SERVICE]\n"
    "It is started by `bulkhead up`.\n";

struct CommandLine {
  std::string run_dir;
  std::string bin_dir;
  std::string platform;
  std::vector<std::string> platform_arguments;
};

absl::StatusOr<CommandLine> Parse(int argc, char** argv) {
  CommandLine line;
  for (int i = 1; i < argc; ++i) {
    absl::string_view argument = argv[i];
    if (argument == "--") {
      line.platform_arguments.assign(argv + i + 1, argv + argc);
      break;
    }
    if (absl::ConsumePrefix(&argument, "--run_dir=")) {
      line.run_dir = std::string(argument);
    } else if (absl::ConsumePrefix(&argument, "--bin_dir=")) {
      line.bin_dir = std::string(argument);
    } else if (absl::ConsumePrefix(&argument, "--platform=")) {
      line.platform = std::string(argument);
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("unknown argument ", argument));
    }
  }
  if (line.run_dir.empty() || line.bin_dir.empty() || line.platform.empty()) {
    return absl::InvalidArgumentError(
        "--run_dir, --bin_dir and --platform are all needed");
  }
  return line;
}

// Parked descriptors of many NICs do not fit into the usual 1,024.
void RaiseFdLimit() {
  rlimit limit;
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

absl::StatusOr<UniqueFd> TakeEndSignals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGTERM);
  ::sigaddset(&signals, SIGINT);
  if (::sigprocmask(SIG_BLOCK, &signals, nullptr) != 0) {
    return ErrnoStatus("block SIGTERM and SIGINT");
  }
  UniqueFd fd(::signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus("create a signalfd");
  return fd;
}

// The whole system: who is told what, and the order of the end (children,
// platform service, files).
class Main {
 public:
  Main(EventLoop& loop, const RunDirectory& directory)
      : loop_(loop),
        supervisor_(loop, {directory.log_directory(),
                           {},
                           [this] { ShutDown(0); },
                           [this](const std::string& reason) {
                             if (platform_) platform_->Kill(reason);
                           }}) {}

  absl::Status Start(const CommandLine& line,
                     const std::string& log_directory) {
    std::vector<std::string> arguments = {
        absl::StrCat("--run_dir=", line.run_dir),
        absl::StrCat("--bin_dir=", line.bin_dir)};
    arguments.insert(arguments.end(), line.platform_arguments.begin(),
                     line.platform_arguments.end());
    PlatformProcess::Callbacks callbacks;
    callbacks.spawned = [this](SeqpacketChannel channel) {
      const absl::Status status =
          supervisor_.AttachPlatform(std::move(channel));
      if (!status.ok()) platform_->Kill(std::string(status.message()));
    };
    callbacks.event = [this](absl::string_view kind, absl::string_view text) {
      LogInfo(absl::StrCat("platform service: ", kind, ": ", text));
      supervisor_.Record(kPlatformName, 0, kind, text);
    };
    callbacks.gave_up = [this](const std::string& reason) {
      LogError(reason);
      ShutDown(1);
    };
    callbacks.stopped = [this] { loop_.Stop(); };
    ASSIGN_OR_RETURN(platform_, PlatformProcess::Create(
                                    loop_, supervisor_.sandbox(), line.platform,
                                    std::move(arguments), log_directory,
                                    std::move(callbacks)));
    platform_->Start();
    return absl::OkStatus();
  }

  void ShutDown(int exit_status) {
    exit_status_ = exit_status;
    supervisor_.StopAll([this] { platform_->Stop(); });
  }

  int exit_status() const { return exit_status_; }

 private:
  EventLoop& loop_;
  int exit_status_ = 0;
  Supervisor supervisor_;
  std::unique_ptr<PlatformProcess> platform_;
};

absl::StatusOr<int> Run(const CommandLine& line) {
  ASSIGN_OR_RETURN(const auto directory, RunDirectory::Take(line.run_dir));
  RaiseFdLimit();
  ASSIGN_OR_RETURN(const UniqueFd signals, TakeEndSignals());
  ASSIGN_OR_RETURN(const auto loop, EventLoop::Create());
  Main main(*loop, *directory);
  ASSIGN_OR_RETURN(const auto watch,
                   loop->Watch(signals.get(), EPOLLIN, [&](uint32_t) {
                     signalfd_siginfo info;
                     if (::read(signals.get(), &info, sizeof(info)) > 0) {
                       main.ShutDown(0);
                     }
                   }));
  RETURN_IF_ERROR(main.Start(line, directory->log_directory()));
  loop->Run();
  loop->Unwatch(watch);
  // After a failure the logs stay: they say why.
  if (main.exit_status() == 0) directory->Clean();
  return main.exit_status();
}

}  // namespace
}  // namespace bulkhead::supervisor

int main(int argc, char** argv) {
  using namespace bulkhead;
  SetLogName("supervisor");
  const auto line = supervisor::Parse(argc, argv);
  if (!line.ok()) {
    std::fprintf(stderr, "supervisor: %s\n%s",
                 std::string(line.status().message()).c_str(),
                 supervisor::kUsage);
    return 2;
  }
  const absl::StatusOr<int> status = supervisor::Run(*line);
  if (!status.ok()) {
    LogError(status.status().message());
    return 1;
  }
  return *status;
}
