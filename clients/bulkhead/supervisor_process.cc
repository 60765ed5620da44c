#include "clients/bulkhead/supervisor_process.h"

#include <spawn.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <iterator>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/errno_status.h"
#include "clients/bulkhead/connection.h"
#include "clients/bulkhead/log_file.h"
#include "clients/bulkhead/process_exit.h"

extern char** environ;

namespace bulkhead::cli {
namespace {

constexpr uint32_t kDownDeadlineMs = 10'000;
constexpr uint64_t kOwnershipNs = 5'000'000'000;
constexpr int kExitMs = 5000;
constexpr int kTermMs = 2000;
constexpr int kKillMs = 2000;
constexpr int kGiveBackMs = 60'000;

absl::Status CheckProgram(const std::string& path) {
  if (::access(path.c_str(), X_OK) == 0) return absl::OkStatus();
  return ErrnoStatus(
      absl::StrCat("run ", path,
                   " (build it with run/build, or name its place with "
                   "--bin-dir)"));
}

absl::StatusOr<UniqueFd> OpenLog(const RunDir& run_dir) {
  const std::string path = run_dir.LogFile("supervisor");
  UniqueFd log(::open(path.c_str(),
                      O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW,
                      0600));
  if (!log.valid()) return ErrnoStatus(absl::StrCat("open ", path));
  return log;
}

// posix_spawn: this process may already have gRPC's threads.
absl::StatusOr<pid_t> Spawn(const std::vector<std::string>& arguments,
                            int log_fd) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);

  posix_spawn_file_actions_t files;
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null",
                                     O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&files, log_fd, STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&files, log_fd, STDERR_FILENO);
  // Nothing of the shell that called us: its descriptors, its signal mask.
  ::posix_spawn_file_actions_addclosefrom_np(&files, 3);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t none;
  ::sigemptyset(&none);
  sigset_t all;
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID |
                                              POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF);
  pid_t pid = 0;
  const int error =
      ::posix_spawn(&pid, argv[0], &files, &attributes, argv.data(), environ);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&files);
  if (error != 0) {
    return ErrnoStatus(absl::StrCat("start ", arguments[0]), error);
  }
  return pid;
}

// Until the new supervisor owns the run directory: from then on `down` finds
// it.
absl::Status AwaitOwnership(int pidfd, const Context& context) {
  const uint64_t deadline_ns = MonotonicNs() + kOwnershipNs;
  while (MonotonicNs() < deadline_ns) {
    const auto owner = context.run_dir.FindSupervisor();
    if (owner.ok() && owner->has_value()) return absl::OkStatus();
    if (AwaitExit(pidfd, 1)) {
      const std::string log = LogTail(context.run_dir, "supervisor");
      RETURN_IF_ERROR(context.run_dir.RemoveFiles());
      return absl::UnavailableError(
          absl::StrCat("the supervisor ended at once", log));
    }
  }
  ::syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, nullptr, 0);
  AwaitExit(pidfd, kKillMs);
  RETURN_IF_ERROR(context.run_dir.RemoveFiles());
  return absl::DeadlineExceededError(
      absl::StrCat("the supervisor did not take ", context.run_dir.PidFile(),
                   " in its time; is the machine overloaded?"));
}

bool SignalAndAwait(const RunningSupervisor& supervisor, int signal,
                    int timeout_ms) {
  ::syscall(SYS_pidfd_send_signal, supervisor.pidfd.get(), signal, nullptr, 0);
  return AwaitExit(supervisor.pidfd.get(), timeout_ms);
}

// Ends the supervisor; says in `report` what it took.
absl::Status EndSupervisor(const RunningSupervisor& supervisor,
                           const RunDir& run_dir, ShutDownReport& report) {
  const auto response = Connection::Create(run_dir, kDownDeadlineMs)->Down();
  if (response.ok()) {
    report.stopped = response->stopped();
    if (AwaitExit(supervisor.pidfd.get(), kExitMs)) return absl::OkStatus();
    report.forced = "the supervisor did not end by itself";
  } else {
    // Whoever else brought it down meanwhile did our work.
    if (AwaitExit(supervisor.pidfd.get(), 0)) return absl::OkStatus();
    report.forced = std::string(response.status().message());
  }
  if (SignalAndAwait(supervisor, SIGTERM, kTermMs)) return absl::OkStatus();
  // A stopped process does not see SIGTERM, but SIGKILL it does; its children
  // die with it (PDEATHSIG).
  if (SignalAndAwait(supervisor, SIGKILL, kKillMs)) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat("the supervisor (pid ", supervisor.pid,
                   ") does not end even by SIGKILL: it hangs in the kernel"));
}

// Where the platform service writes down what it took, while it has it
// (function_taker.h, interface_taker.h).
constexpr const char* kRecords[] = {"/taken", "/taken_interfaces"};

bool HasTaken(const std::string& run_dir) {
  return std::any_of(std::begin(kRecords), std::end(kRecords),
                     [&](const char* records) {
                       return ::access((run_dir + records).c_str(), F_OK) == 0;
                     });
}

// Cards and interfaces that a killed system left as it had them, and its guard
// with it: the kernel gets them back as they were (S10).
absl::Status GiveBackWhatIsTaken(const Context& context) {
  const std::string& run_dir = context.run_dir.path();
  if (!HasTaken(run_dir)) return absl::OkStatus();
  const std::string platform =
      context.bin_dir + "/platform_service/platform_service";
  RETURN_IF_ERROR(CheckProgram(platform));
  ASSIGN_OR_RETURN(
      const pid_t pid,
      Spawn({platform, absl::StrCat("--run_dir=", run_dir), "--give_back"},
            STDERR_FILENO));
  const UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!AwaitExit(pidfd.get(), kGiveBackMs) || HasTaken(run_dir)) {
    return absl::InternalError(absl::StrCat(
        "give the cards and interfaces in ", run_dir,
        "/taken* back to the kernel: it did not succeed; are you root? "
        "`bulkhead down` tries again"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RunningSupervisor> StartSupervisor(
    const std::string& scenario_path, const Context& context) {
  const std::string supervisor = context.bin_dir + "/supervisor/supervisor";
  const std::string platform =
      context.bin_dir + "/platform_service/platform_service";
  RETURN_IF_ERROR(CheckProgram(supervisor));
  RETURN_IF_ERROR(CheckProgram(platform));

  const RunDir& run_dir = context.run_dir;
  ASSIGN_OR_RETURN(const auto running, run_dir.FindSupervisor());
  if (running.has_value()) {
    return absl::AlreadyExistsError(
        absl::StrCat("a Bulkhead runs already in ", run_dir.path(),
                     " (supervisor pid ", running->pid,
                     "); change it with `bulkhead apply FILE`, end it with "
                     "`bulkhead down`, or choose another --run-dir"));
  }
  RETURN_IF_ERROR(run_dir.RemoveFiles());
  RETURN_IF_ERROR(run_dir.Create());
  ASSIGN_OR_RETURN(const UniqueFd log, OpenLog(run_dir));

  const std::string scenario =
      std::filesystem::absolute(scenario_path).string();
  ASSIGN_OR_RETURN(
      const pid_t pid,
      Spawn({supervisor, absl::StrCat("--run_dir=", run_dir.path()),
             absl::StrCat("--bin_dir=", context.bin_dir),
             absl::StrCat("--platform=", platform), "--",
             absl::StrCat("--scenario=", scenario)},
            log.get()));
  UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd.valid()) return ErrnoStatus("open the supervisor's pidfd");
  RETURN_IF_ERROR(AwaitOwnership(pidfd.get(), context));
  return RunningSupervisor{.pid = pid, .pidfd = std::move(pidfd)};
}

absl::StatusOr<ShutDownReport> ShutDown(const Context& context) {
  ShutDownReport report;
  ASSIGN_OR_RETURN(const auto running, context.run_dir.FindSupervisor());
  if (running.has_value()) {
    report.ran = true;
    RETURN_IF_ERROR(EndSupervisor(*running, context.run_dir, report));
  }
  RETURN_IF_ERROR(GiveBackWhatIsTaken(context));
  RETURN_IF_ERROR(context.run_dir.RemoveFiles());
  return report;
}

}  // namespace bulkhead::cli
