#include "nic_driver/conformance/testing/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"

namespace bulkhead::nic_driver::testing {
namespace {

constexpr int kParentChannelFd = 3;
constexpr int kReadyTimeoutMs = 60'000;

int ExitStatus(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ChildProcess>> ChildProcess::Spawn(
    const std::string& program) {
  ASSIGN_OR_RETURN(auto ends, SeqpacketChannel::CreatePair());
  // Above 3, so that dup2 clears close-on-exec.
  UniqueFd theirs(
      ::fcntl(ends.second.fd(), F_DUPFD_CLOEXEC, kParentChannelFd + 1));
  if (!theirs.valid()) return ErrnoStatus("duplicate the parent channel");
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, theirs.get(), kParentChannelFd);
  char* const arguments[] = {const_cast<char*>(program.c_str()), nullptr};
  char* const environment[] = {nullptr};
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, program.c_str(), &actions, nullptr,
                                  arguments, environment);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return ErrnoStatus(absl::StrCat("spawn ", program), error);
  ends.second.Close();
  theirs.Reset();

  std::unique_ptr<ChildProcess> child(
      new ChildProcess(pid, std::move(ends.first)));
  supervisor::FromChild message;
  std::vector<UniqueFd> fds;
  RETURN_IF_ERROR(child->channel_.WaitReceive(&message, &fds, kReadyTimeoutMs));
  if (!message.has_ready()) {
    return absl::InternalError(
        absl::StrCat(program, ": its first message is not Ready"));
  }
  return child;
}

ChildProcess::~ChildProcess() { Kill(); }

absl::Status ChildProcess::Start(const std::string& name, uint32_t generation,
                                 const std::string& payload,
                                 std::span<const int> fds) {
  supervisor::ToChild message;
  message.mutable_start()->set_name(name);
  message.mutable_start()->set_generation(generation);
  message.mutable_start()->set_payload(payload);
  return channel_.Send(message, fds);
}

absl::Status ChildProcess::Ping(uint64_t number) {
  supervisor::ToChild message;
  message.mutable_ping()->set_number(number);
  return channel_.Send(message);
}

absl::Status ChildProcess::AskToStop() {
  supervisor::ToChild message;
  message.mutable_stop();
  return channel_.Send(message);
}

absl::StatusOr<bool> ChildProcess::Receive(supervisor::FromChild* message) {
  std::vector<UniqueFd> fds;
  return channel_.Receive(message, &fds);
}

void ChildProcess::Kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  int status;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = 0;
}

absl::StatusOr<int> ChildProcess::WaitForExit(int timeout_ms) {
  if (pid_ <= 0) return absl::FailedPreconditionError("it has ended before");
  UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  if (!pidfd.valid()) return ErrnoStatus("open a pidfd");
  pollfd waiting = {pidfd.get(), POLLIN, 0};
  if (::poll(&waiting, 1, timeout_ms) <= 0) {
    return absl::DeadlineExceededError(absl::StrCat(
        "process ", pid_, " did not end within ", timeout_ms, " ms"));
  }
  int status;
  ::waitpid(std::exchange(pid_, 0), &status, 0);
  return ExitStatus(status);
}

size_t ChildProcess::OpenDescriptors() const {
  return DescriptorTargets().size();
}

std::vector<std::string> ChildProcess::DescriptorTargets() const {
  std::vector<std::string> targets;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(
           absl::StrCat("/proc/", pid_, "/fd"), error)) {
    const auto target = std::filesystem::read_symlink(entry.path(), error);
    if (!error) targets.push_back(target.string());
  }
  return targets;
}

std::string ChildProcess::Maps() const {
  std::ifstream file(absl::StrCat("/proc/", pid_, "/maps"));
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

size_t ChildProcess::PrivateDirtyBytes() const {
  std::ifstream file(absl::StrCat("/proc/", pid_, "/smaps_rollup"));
  std::string word;
  size_t kilobytes = 0;
  while (file >> word) {
    if (word == "Private_Dirty:") file >> kilobytes;
  }
  return kilobytes * 1024;
}

}  // namespace bulkhead::nic_driver::testing
