#include "supervisor/run_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/errno_status.h"

namespace bulkhead::supervisor {
namespace {

constexpr char kPidFile[] = "/supervisor.pid";

absl::Status MakeDirectory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) {
    return absl::OkStatus();
  }
  return ErrnoStatus(absl::StrCat("make the directory ", path));
}

// "NAME.log" and "NAME.log.1".
void RemoveLogs(const std::string& directory) {
  DIR* entries = ::opendir(directory.c_str());
  if (entries == nullptr) return;
  while (const dirent* entry = ::readdir(entries)) {
    const absl::string_view name = entry->d_name;
    if (absl::EndsWith(name, ".log") || absl::EndsWith(name, ".log.1")) {
      ::unlinkat(::dirfd(entries), entry->d_name, 0);
    }
  }
  ::closedir(entries);
  // Stays if somebody else put something there.
  ::rmdir(directory.c_str());
}

}  // namespace

absl::StatusOr<std::unique_ptr<RunDirectory>> RunDirectory::Take(
    const std::string& path) {
  RETURN_IF_ERROR(MakeDirectory(path));
  const std::string pid_path = path + kPidFile;
  UniqueFd pid_file(::open(pid_path.c_str(),
                           O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!pid_file.valid()) return ErrnoStatus(absl::StrCat("open ", pid_path));
  struct flock whole = {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  if (::fcntl(pid_file.get(), F_OFD_SETLK, &whole) != 0) {
    if (errno != EAGAIN && errno != EACCES) {
      return ErrnoStatus(absl::StrCat("lock ", pid_path));
    }
    char text[32] = {};
    [[maybe_unused]] const ssize_t got =
        ::pread(pid_file.get(), text, sizeof(text) - 1, 0);
    return absl::AlreadyExistsError(absl::StrCat(
        "use the run directory ", path, ": a supervisor with pid ",
        absl::StripSuffix(text, "\n"),
        " runs there; stop it with `bulkhead down`, or choose another "
        "--run_dir"));
  }
  const std::string pid = absl::StrCat(::getpid(), "\n");
  if (::ftruncate(pid_file.get(), 0) != 0 ||
      ::pwrite(pid_file.get(), pid.data(), pid.size(), 0) !=
          static_cast<ssize_t>(pid.size())) {
    return ErrnoStatus(absl::StrCat("write ", pid_path));
  }
  std::unique_ptr<RunDirectory> directory(
      new RunDirectory(path, std::move(pid_file)));
  RETURN_IF_ERROR(MakeDirectory(directory->log_directory()));
  return directory;
}

void RunDirectory::Clean() {
  RemoveLogs(log_directory());
  ::unlink((path_ + kPidFile).c_str());
}

}  // namespace bulkhead::supervisor
