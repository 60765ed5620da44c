#include "platform_service/vfio/group_holders.h"

#include <filesystem>
#include <fstream>
#include <optional>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"

namespace bulkhead::platform {
namespace {

namespace fs = std::filesystem;

// The last part of what a link points to; empty when there is none.
std::string LinkName(const std::string& path) {
  std::error_code error;
  return fs::read_symlink(path, error).filename().string();
}

std::vector<fs::path> Entries(const std::string& folder) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    entries.push_back(it->path());
  }
  return entries;
}

// Of an open file, if it is one of VFIO's.
std::optional<int> GroupOf(const std::string& root, const std::string& file) {
  absl::string_view rest = file;
  int group = 0;
  if (!absl::ConsumePrefix(&rest, "/dev/vfio/")) return std::nullopt;
  if (absl::SimpleAtoi(rest, &group)) return group;
  if (!absl::ConsumePrefix(&rest, "devices/")) return std::nullopt;
  const std::string of_function = LinkName(
      absl::StrCat(root, "/sys/class/vfio-dev/", rest, "/device/iommu_group"));
  if (absl::SimpleAtoi(of_function, &group)) return group;
  return std::nullopt;
}

}  // namespace

std::map<int, std::vector<ProcessName>> ReadGroupHolders(
    const std::string& root) {
  std::map<int, std::vector<ProcessName>> holders;
  for (const fs::path& folder : Entries(root + "/proc")) {
    ProcessName process;
    if (!absl::SimpleAtoi(folder.filename().string(), &process.pid)) continue;
    std::set<int> held;
    for (const fs::path& fd : Entries(folder.string() + "/fd")) {
      std::error_code error;
      const std::string file = fs::read_symlink(fd, error).string();
      if (error) continue;
      if (const auto group = GroupOf(root, file)) held.insert(*group);
    }
    if (held.empty()) continue;
    std::ifstream comm(folder.string() + "/comm");
    std::getline(comm, process.name);
    for (const int group : held) holders[group].push_back(process);
  }
  return holders;
}

std::string HoldersText(const std::vector<ProcessName>& holders) {
  return absl::StrJoin(
      holders, ", ", [](std::string* out, const ProcessName& process) {
        absl::StrAppend(out, "process ", process.pid, " (", process.name, ")");
      });
}

}  // namespace bulkhead::platform
