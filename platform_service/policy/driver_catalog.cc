#include "platform_service/policy/driver_catalog.h"

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

constexpr size_t kMaxDriverNameCharacters = 32;
// So that a folder of millions of entries costs no memory.
constexpr size_t kMaxDrivers = 256;

// Why the program cannot be run, or empty.
std::string WhyMissing(const std::string& path) {
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

// The drivers of this tree, and what each one's Probe accepts.
const std::map<std::string, std::vector<PciId>>& DriverTable() {
  static const auto* const kTable =
      new std::map<std::string, std::vector<PciId>>{
          {"e1000e", {{0x8086, 0x10d3}}},
      };
  return *kTable;
}

}  // namespace

const std::vector<std::string>& KnownDrivers() {
  static const auto* const kDrivers = [] {
    auto* const names = new std::vector<std::string>();
    for (const auto& [name, drives] : DriverTable()) names->push_back(name);
    return names;
  }();
  return *kDrivers;
}

const std::vector<std::string>& KnownModels() {
  static const auto* const kModels = new std::vector<std::string>{"82574l"};
  return *kModels;
}

bool IsDriverName(absl::string_view name) {
  return !name.empty() && name.size() <= kMaxDriverNameCharacters &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '_';
         });
}

DriverCatalog ListDrivers(const std::string& bin_dir) {
  DriverCatalog catalog;
  const std::string folder = absl::StrCat(bin_dir, "/nic_driver");
  auto program = [&](absl::string_view name) {
    return absl::StrCat(folder, "/", name, "/", name);
  };
  for (const auto& [name, drives] : DriverTable()) {
    catalog[name] = {program(name), WhyMissing(program(name)), drives};
  }
  struct CloseFolder {
    void operator()(DIR* open) const { closedir(open); }
  };
  std::unique_ptr<DIR, CloseFolder> open(opendir(folder.c_str()));
  if (open == nullptr) return catalog;
  while (const dirent* entry = readdir(open.get())) {
    const std::string name = entry->d_name;
    if (!IsDriverName(name) || catalog.size() >= kMaxDrivers) continue;
    if (catalog.count(name) == 0 && WhyMissing(program(name)).empty()) {
      catalog[name] = {program(name), "", {}};
    }
  }
  return catalog;
}

}  // namespace bulkhead::policy
