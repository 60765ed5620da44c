// platform_service --run_dir=DIR --bin_dir=DIR --scenario=FILE
// platform_service --run_dir=DIR --give_back[=ADDRESS] | --rescan=ADDRESS |
//     --guard=PID
//
// The second form gives real NICs back, see vfio/helper.h.
//
// Started by the supervisor, with its channel on descriptor 3. Ends with exit
// status 0 on SIGTERM; 2 on wrong usage.
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/errno_status.h"
#include "base/event_loop.h"
#include "base/log.h"
#include "base/seqpacket.h"
#include "platform_service/platform.h"
#include "platform_service/vfio/helper.h"

namespace bulkhead::platform {
namespace {

constexpr int kSupervisorFd = 3;

absl::StatusOr<PlatformOptions> ParseArguments(int argc, char** argv) {
  PlatformOptions options;
  for (int i = 1; i < argc; ++i) {
    absl::string_view argument = argv[i];
    if (absl::ConsumePrefix(&argument, "--run_dir=")) {
      options.run_dir = std::string(argument);
    } else if (absl::ConsumePrefix(&argument, "--bin_dir=")) {
      options.bin_dir = std::string(argument);
    } else if (absl::ConsumePrefix(&argument, "--scenario=")) {
      options.scenario = std::string(argument);
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("unknown argument ", argument));
    }
  }
  if (options.run_dir.empty() || options.bin_dir.empty() ||
      options.scenario.empty()) {
    return absl::InvalidArgumentError(
        "--run_dir, --bin_dir and --scenario are all needed");
  }
  return options;
}

// Each NIC takes some twenty descriptors, each session ten.
void RaiseFdLimit() {
  rlimit limit;
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// Before any thread is made, so that all of them inherit it.
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

absl::Status Run(PlatformOptions options) {
  int type = 0;
  socklen_t length = sizeof(type);
  if (::getsockopt(kSupervisorFd, SOL_SOCKET, SO_TYPE, &type, &length) != 0 ||
      type != SOCK_SEQPACKET) {
    return absl::FailedPreconditionError(
        "descriptor 3 is no channel to a supervisor; this program is started "
        "by the supervisor, use `bulkhead up SCENARIO`");
  }
  ::fcntl(kSupervisorFd, F_SETFD, FD_CLOEXEC);
  RaiseFdLimit();
  ASSIGN_OR_RETURN(const UniqueFd signals, TakeEndSignals());
  ASSIGN_OR_RETURN(const std::unique_ptr<EventLoop> loop, EventLoop::Create());
  ASSIGN_OR_RETURN(const std::unique_ptr<Platform> platform,
                   Platform::Create(*loop, std::move(options),
                                    SeqpacketChannel(UniqueFd(kSupervisorFd))));
  ASSIGN_OR_RETURN(
      const EventLoop::WatchId watch,
      loop->Watch(signals.get(), EPOLLIN, [&](uint32_t) { loop->Stop(); }));
  loop->Run();
  loop->Unwatch(watch);
  platform->GiveBack();
  platform->RemoveFiles();
  // gRPC's threads may wait for answers of a core that has stopped: nothing is
  // left that a destructor would have to give back.
  ::_exit(0);
}

// The exit status of a helper; nullopt: this is no helper.
std::optional<int> RunAsHelper(int argc, char** argv) {
  if (argc != 3) return std::nullopt;
  absl::string_view run_dir = argv[1];
  absl::string_view order = argv[2];
  if (!absl::ConsumePrefix(&run_dir, "--run_dir=")) return std::nullopt;
  if (absl::ConsumePrefix(&order, "--give_back")) {
    absl::ConsumePrefix(&order, "=");
    return RunGiveBack(std::string(run_dir), std::string(order));
  }
  if (absl::ConsumePrefix(&order, "--rescan=")) {
    return RunRescan(std::string(run_dir), std::string(order));
  }
  int pid = 0;
  if (!absl::ConsumePrefix(&order, "--guard=") ||
      !absl::SimpleAtoi(order, &pid)) {
    return std::nullopt;
  }
  return RunGuard(std::string(run_dir), pid);
}

}  // namespace
}  // namespace bulkhead::platform

int main(int argc, char** argv) {
  using namespace bulkhead;
  SetLogName("platform_service");
  if (const auto status = platform::RunAsHelper(argc, argv)) return *status;
  auto options = platform::ParseArguments(argc, argv);
  if (!options.ok()) {
    std::fprintf(stderr,
                 "platform_service: %s\nusage: platform_service --run_dir=DIR "
                 "--bin_dir=DIR --scenario=FILE\nIt is started by the "
                 "supervisor; use `bulkhead up SCENARIO`.\n",
                 std::string(options.status().message()).c_str());
    return 2;
  }
  const absl::Status status = platform::Run(*std::move(options));
  LogError(status.message());
  return 1;
}
