#include "platform_service/vfio/sysfs.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/errno_status.h"
#include "base/unique_fd.h"

namespace bulkhead::platform {

std::string Sysfs::Full(absl::string_view path) const {
  return absl::StrCat(root_, "/", path);
}

absl::StatusOr<std::string> Sysfs::Read(absl::string_view path) const {
  const std::string full = Full(path);
  const UniqueFd file(::open(full.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return ErrnoStatus(absl::StrCat("open ", full));
  // An attribute is a page at most; records are read here as well.
  constexpr size_t kMostBytes = 1 << 20;
  std::string text;
  char part[4096];
  ssize_t got;
  while ((got = ::read(file.get(), part, sizeof(part))) > 0 &&
         text.size() < kMostBytes) {
    text.append(part, static_cast<size_t>(got));
  }
  if (got < 0) return ErrnoStatus(absl::StrCat("read ", full));
  return std::string(absl::StripSuffix(text, "\n"));
}

absl::Status Sysfs::Write(absl::string_view path, absl::string_view text) {
  const std::string full = Full(path);
  const UniqueFd file(::open(full.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file.valid()) return ErrnoStatus(absl::StrCat("open ", full));
  ssize_t written;
  do {
    written = ::write(file.get(), text.data(), text.size());
  } while (written < 0 && errno == EINTR);
  if (written != static_cast<ssize_t>(text.size())) {
    return ErrnoStatus(
        absl::StrCat("write `", absl::StripSuffix(text, "\n"), "` to ", full));
  }
  return absl::OkStatus();
}

std::string Sysfs::LinkName(absl::string_view path) const {
  char target[4096];
  const ssize_t got = ::readlink(Full(path).c_str(), target, sizeof(target));
  if (got <= 0) return "";
  const absl::string_view text(target, static_cast<size_t>(got));
  const size_t slash = text.rfind('/');
  return std::string(
      text.substr(slash == absl::string_view::npos ? 0 : slash + 1));
}

bool Sysfs::Exists(absl::string_view path) const {
  return ::access(Full(path).c_str(), F_OK) == 0;
}

std::vector<std::string> Sysfs::List(absl::string_view path) const {
  std::vector<std::string> names;
  DIR* const entries = ::opendir(Full(path).c_str());
  if (entries == nullptr) return names;
  while (const dirent* entry = ::readdir(entries)) {
    const absl::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  ::closedir(entries);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace bulkhead::platform
