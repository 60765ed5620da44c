#include "platform_service/policy/program_folder.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace bulkhead::policy {
namespace {

constexpr size_t kMaxNameCharacters = 32;
// So that a folder of millions of entries costs no memory.
constexpr size_t kMaxPrograms = 256;

}  // namespace

bool IsProgramName(absl::string_view name) {
  return !name.empty() && name.size() <= kMaxNameCharacters &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '_';
         });
}

std::string ProgramPath(absl::string_view dir, absl::string_view name) {
  return absl::StrCat(dir, "/", name, "/", name);
}

std::string WhyNotRunnable(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) {
    return absl::StrCat("no program ", path, " (", strerror(errno), ")");
  }
  if (!S_ISREG(info.st_mode)) {
    return absl::StrCat(path, " is not a program but a folder or device");
  }
  if (access(path.c_str(), X_OK) != 0) {
    return absl::StrCat(path, " may not be executed (", strerror(errno), ")");
  }
  return "";
}

std::vector<std::string> ListProgramFolders(const std::string& dir,
                                            const std::string& description) {
  struct CloseFolder {
    void operator()(DIR* open) const { closedir(open); }
  };
  std::vector<std::string> names;
  std::unique_ptr<DIR, CloseFolder> open(opendir(dir.c_str()));
  if (open == nullptr) return names;
  while (const dirent* entry = readdir(open.get())) {
    const std::string name = entry->d_name;
    if (!IsProgramName(name) || names.size() >= kMaxPrograms) continue;
    if (WhyNotRunnable(ProgramPath(dir, name)).empty() ||
        IsRegularFile(absl::StrCat(dir, "/", name, "/", description))) {
      names.push_back(name);
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool IsRegularFile(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

}  // namespace bulkhead::policy
