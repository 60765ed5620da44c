#include "clients/bulkhead/log_file.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "base/errno_status.h"

namespace bulkhead::cli {
namespace {

constexpr size_t kTailLines = 12;

UniqueFd OpenForReading(const std::string& path) {
  return UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
}

std::string ReadToEnd(int fd) {
  std::string text;
  std::array<char, 16384> piece;
  for (;;) {
    const ssize_t bytes = ::read(fd, piece.data(), piece.size());
    if (bytes <= 0) return text;
    text.append(piece.data(), static_cast<size_t>(bytes));
  }
}

}  // namespace

bool IsProcessName(const std::string& name) {
  return !name.empty() && name.size() <= 64 && name[0] != '.' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
                  c == '_' || c == '-' || c == '.';
         });
}

std::vector<std::string> ProcessesWithLogs(const RunDir& run_dir) {
  std::vector<std::string> names;
  std::error_code error;
  std::filesystem::directory_iterator entries(run_dir.LogDir(), error);
  if (error) return names;
  for (const auto& entry : entries) {
    const std::string file = entry.path().filename().string();
    absl::string_view name = file;
    if (absl::ConsumeSuffix(&name, ".log")) names.emplace_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string LastLines(const std::string& text, size_t lines) {
  if (lines == 0) return text;
  size_t at = text.size();
  if (at > 0 && text[at - 1] == '\n') --at;
  while (at > 0) {
    if (text[at - 1] == '\n' && --lines == 0) break;
    --at;
  }
  return text.substr(at);
}

std::string LogTail(const RunDir& run_dir, const std::string& name) {
  absl::StatusOr<LogFile> log = LogFile::Open(run_dir, name);
  if (!log.ok()) return "";
  std::string text = LastLines(log->ReadAll(), kTailLines);
  absl::StripTrailingAsciiWhitespace(&text);
  if (text.empty()) return "";
  return absl::StrCat("\nlast lines of the log of ", name, ":\n", text);
}

absl::StatusOr<LogFile> LogFile::Open(const RunDir& run_dir,
                                      const std::string& name) {
  const std::vector<std::string> names = ProcessesWithLogs(run_dir);
  if (names.empty()) return run_dir.NothingRuns();
  if (!IsProcessName(name) ||
      std::find(names.begin(), names.end(), name) == names.end()) {
    return absl::NotFoundError(absl::StrCat("there is no log of ", name,
                                            "; there are logs of ",
                                            absl::StrJoin(names, ", ")));
  }
  LogFile log(run_dir.LogFile(name));
  log.file_ = OpenForReading(log.path_);
  if (!log.file_.valid()) {
    return ErrnoStatus(absl::StrCat("open ", log.path_));
  }
  return log;
}

std::string LogFile::ReadAll() {
  const UniqueFd older = OpenForReading(path_ + ".1");
  const std::string text = older.valid() ? ReadToEnd(older.get()) : "";
  return text + ReadMore();
}

std::string LogFile::ReadMore() {
  std::string text = ReadToEnd(file_.get());
  if (WasReplaced()) {
    UniqueFd newer = OpenForReading(path_);
    if (newer.valid()) {
      // What was added between the read above and the change of files.
      text += ReadToEnd(file_.get());
      file_ = std::move(newer);
      text += ReadToEnd(file_.get());
    }
  }
  return text;
}

bool LogFile::WasReplaced() const {
  struct stat open_one;
  struct stat named_one;
  return ::fstat(file_.get(), &open_one) == 0 &&
         ::stat(path_.c_str(), &named_one) == 0 &&
         open_one.st_ino != named_one.st_ino;
}

}  // namespace bulkhead::cli
