#include "clients/bulkhead/demo_traffic.h"

#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "clients/bulkhead/process_exit.h"

extern char** environ;

namespace bulkhead::cli {
namespace {

using Json = nlohmann::json;

constexpr int kProgressFd = 3;
constexpr int kEndMs = 1000;

uint64_t Number(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number_unsigned()
             ? found->get<uint64_t>()
             : 0;
}

std::string Text(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>()
                                                   : "";
}

struct Pipe {
  UniqueFd read_end;
  UniqueFd write_end;
};

absl::StatusOr<Pipe> MakePipe() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return ErrnoStatus("make a pipe");
  ::fcntl(fds[0], F_SETFL, O_NONBLOCK);
  return Pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

void ReadAvailable(const UniqueFd& fd, std::string& text) {
  std::array<char, 4096> piece;
  for (;;) {
    const ssize_t bytes = ::read(fd.get(), piece.data(), piece.size());
    if (bytes <= 0) return;
    text.append(piece.data(), static_cast<size_t>(bytes));
  }
}

absl::StatusOr<pid_t> Spawn(const std::vector<std::string>& arguments,
                            const Pipe& output, const Pipe& errors,
                            const Pipe& progress) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  posix_spawn_file_actions_t files;
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null",
                                     O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&files, output.write_end.get(),
                                     STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&files, errors.write_end.get(),
                                     STDERR_FILENO);
  ::posix_spawn_file_actions_adddup2(&files, progress.write_end.get(),
                                     kProgressFd);
  ::posix_spawn_file_actions_addclosefrom_np(&files, kProgressFd + 1);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t none;
  ::sigemptyset(&none);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
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

}  // namespace

void ReadProgressLine(const std::string& line, LiveTraffic& live) {
  const Json json = Json::parse(line, nullptr, false);
  if (!json.is_object()) return;
  live.sent = Number(json, "sent");
  live.received = Number(json, "received");
  live.lost = Number(json, "lost");
  live.longest_gap_ns = Number(json, "longest_gap_ns");
  live.recoveries = Number(json, "recoveries");
  live.state = Text(json, "state");
}

std::optional<TrafficResult> ReadTrafficReport(const std::string& text) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  TrafficResult result = {.sent = Number(json, "sent"),
                          .received = Number(json, "received"),
                          .lost = Number(json, "lost"),
                          .duplicated = Number(json, "duplicated"),
                          .corrupted = Number(json, "corrupted"),
                          .indeterminate = Number(json, "indeterminate"),
                          .longest_gap_ns = Number(json, "longest_gap_ns"),
                          .latency_p50_ns = 0,
                          .first_frames_ns = {},
                          .error = Text(json, "error")};
  const auto latency = json.find("latency_ns");
  if (latency != json.end() && latency->is_object()) {
    result.latency_p50_ns = Number(*latency, "p50");
  }
  const auto recoveries = json.find("recoveries");
  if (recoveries != json.end() && recoveries->is_array()) {
    for (const Json& recovery : *recoveries) {
      if (!recovery.is_object()) continue;
      result.first_frames_ns.push_back(Number(recovery, "first_frame_ns"));
    }
  }
  return result;
}

absl::StatusOr<std::unique_ptr<TrafficProcess>> TrafficProcess::Start(
    const std::string& program, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), program);
  arguments.push_back("--json");
  arguments.push_back(absl::StrCat("--progress-fd=", kProgressFd));
  ASSIGN_OR_RETURN(Pipe output, MakePipe());
  ASSIGN_OR_RETURN(Pipe errors, MakePipe());
  ASSIGN_OR_RETURN(Pipe progress, MakePipe());
  ASSIGN_OR_RETURN(const pid_t pid, Spawn(arguments, output, errors, progress));
  std::unique_ptr<TrafficProcess> process(new TrafficProcess);
  process->pid_ = pid;
  process->pidfd_ =
      UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  process->output_ = std::move(output.read_end);
  process->errors_ = std::move(errors.read_end);
  process->progress_ = std::move(progress.read_end);
  return process;
}

TrafficProcess::~TrafficProcess() {
  if (ended_) return;
  ::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
  AwaitExit(pidfd_.get(), kEndMs);
}

void TrafficProcess::Look() {
  // Ended first, then read: nothing that it wrote is missed.
  const bool ended = ended_ || AwaitExit(pidfd_.get(), 0);
  ReadAvailable(output_, output_text_);
  ReadAvailable(errors_, error_text_);
  ReadAvailable(progress_, progress_text_);
  size_t end = 0;
  while ((end = progress_text_.find('\n')) != std::string::npos) {
    ReadProgressLine(progress_text_.substr(0, end), live_);
    progress_text_.erase(0, end + 1);
  }
  ended_ = ended;
}

absl::StatusOr<TrafficResult> TrafficProcess::Result() const {
  const std::optional<TrafficResult> result = ReadTrafficReport(output_text_);
  if (result.has_value() && result->error.empty()) return *result;
  const std::string complaint(absl::StripAsciiWhitespace(error_text_));
  return absl::UnavailableError(
      complaint.empty() ? "nic_traffic ended without a report" : complaint);
}

}  // namespace bulkhead::cli
