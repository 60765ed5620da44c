#include "clients/bulkhead/run_dir.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/errno_status.h"
#include "clients/bulkhead/process_exit.h"

namespace bulkhead::cli {
namespace {

namespace fs = std::filesystem;

// A Unix socket's path holds 107 bytes; the longest name below the run
// directory is models/NAME.driver.sock with a NAME of 32.
constexpr size_t kMaxPathBytes = 107 - sizeof("/models/.driver.sock") - 32;

std::string EnvironmentOr(const char* name, std::string otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : std::move(otherwise);
}

constexpr uint64_t kPassingNs = 1'000'000'000;

absl::Status MakeDirectory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return ErrnoStatus(absl::StrCat("make the run directory ", path,
                                    " (choose another one with --run-dir)"));
  }
  struct stat info;
  if (::lstat(path.c_str(), &info) != 0) {
    return ErrnoStatus(absl::StrCat("look at ", path));
  }
  if (!S_ISDIR(info.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, " is no directory; remove it or choose another --run-dir"));
  }
  if (info.st_uid != ::geteuid()) {
    return absl::PermissionDeniedError(
        absl::StrCat(path, " belongs to user ", info.st_uid,
                     "; choose another directory with --run-dir"));
  }
  return absl::OkStatus();
}

// What the file says; 0 when that is no process's pid.
pid_t ReadPid(int file) {
  std::array<char, 32> text{};
  pid_t pid = 0;
  const bool is_number =
      ::pread(file, text.data(), text.size() - 1, 0) > 0 &&
      absl::SimpleAtoi(absl::StripAsciiWhitespace(text.data()), &pid);
  return is_number && pid > 1 ? pid : 0;
}

// Asks without taking: a lock taken for a look would keep a supervisor that
// starts at that moment from its own.
absl::StatusOr<bool> IsLocked(int file) {
  struct flock lock = {};
  lock.l_type = F_RDLCK;
  lock.l_whence = SEEK_SET;
  if (::fcntl(file, F_OFD_GETLK, &lock) != 0) {
    return ErrnoStatus("ask who holds supervisor.pid");
  }
  return lock.l_type != F_UNLCK;
}

}  // namespace

absl::StatusOr<RunDir> RunDir::Resolve(const std::string& given) {
  std::string path = given;
  if (path.empty()) path = EnvironmentOr("BULKHEAD_RUN_DIR", "");
  if (path.empty() && ::geteuid() == 0) path = "/run/bulkhead";
  if (path.empty()) {
    const std::string runtime = EnvironmentOr("XDG_RUNTIME_DIR", "");
    if (runtime.empty()) {
      return absl::FailedPreconditionError(
          "there is no $XDG_RUNTIME_DIR for the run directory; name one with "
          "--run-dir DIR or $BULKHEAD_RUN_DIR");
    }
    path = runtime + "/bulkhead";
  }
  std::error_code error;
  path = fs::absolute(path, error).lexically_normal().string();
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  if (path.size() > kMaxPathBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the run directory's path is longer than ", kMaxPathBytes,
        " bytes, too long for the Unix sockets in it; choose a shorter one "
        "with --run-dir: ",
        path));
  }
  return RunDir(path);
}

absl::Status RunDir::Create() const {
  RETURN_IF_ERROR(MakeDirectory(path_));
  return MakeDirectory(LogDir());
}

absl::StatusOr<std::optional<RunningSupervisor>> RunDir::FindSupervisor()
    const {
  const UniqueFd file(::open(PidFile().c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) {
    if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
    if (errno == EACCES) {
      return absl::PermissionDeniedError(
          absl::StrCat(path_,
                       " belongs to somebody else; run this as that "
                       "user, or name your own with --run-dir"));
    }
    return ErrnoStatus(absl::StrCat("open ", PidFile()));
  }
  // A held lock without a living holder passes: a supervisor that has not yet
  // written its pid, or the child of a killed one, on its way to exec.
  const uint64_t deadline_ns = MonotonicNs() + kPassingNs;
  for (;;) {
    const pid_t pid = ReadPid(file.get());
    // First the descriptor, then the lock: whoever holds the lock wrote this
    // pid and lives, so the descriptor is his.
    UniqueFd pidfd(pid > 0 ? static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))
                           : -1);
    ASSIGN_OR_RETURN(const bool locked, IsLocked(file.get()));
    if (!locked) return std::nullopt;
    if (pidfd.valid() && !AwaitExit(pidfd.get(), 0)) {
      return RunningSupervisor{.pid = pid, .pidfd = std::move(pidfd)};
    }
    if (MonotonicNs() > deadline_ns) {
      return absl::UnavailableError(
          absl::StrCat("somebody holds ", PidFile(),
                       " whose pid is not in it; see who with "
                       "`fuser -v ",
                       PidFile(), "`"));
    }
    ::usleep(1000);
  }
}

absl::Status RunDir::RemoveFiles() const {
  std::error_code error;
  for (const char* name : {"platform.sock", "session.sock", "supervisor.pid"}) {
    fs::remove(path_ + "/" + name, error);
  }
  for (const char* name : {"models", "log", "bus"}) {
    fs::remove_all(path_ + "/" + name, error);
    if (error) {
      return absl::InternalError(
          absl::StrCat("remove ", path_, "/", name, ": ", error.message()));
    }
  }
  ::rmdir(path_.c_str());  // What is not ours stays, and so does it.
  return absl::OkStatus();
}

absl::Status RunDir::NothingRuns() const {
  return absl::UnavailableError(absl::StrCat(
      "no Bulkhead runs in ", path_, "; start one with `bulkhead up FILE`"));
}

}  // namespace bulkhead::cli
