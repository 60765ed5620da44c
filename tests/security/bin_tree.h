// A folder of programs for one test: the built ones, and drivers of the test's
// own beside them, as BIN/nic_driver/NAME/NAME.
#ifndef BULKHEAD_TESTS_SECURITY_BIN_TREE_H_
#define BULKHEAD_TESTS_SECURITY_BIN_TREE_H_

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/bench/system_under_test.h"

namespace bulkhead::security {

class BinTree {
 public:
  BinTree() : built_(bench::FindBinaries()) {
    namespace fs = std::filesystem;
    std::string dir = "/tmp/bulkhead-bin-XXXXXX";
    path_ = ::mkdtemp(dir.data());
    for (const char* part :
         {"supervisor/supervisor", "platform_service/platform_service",
          "nic_model/82574l/82574l", "nic_model/82574l/model.yaml",
          "nic_model/nic_switch", "nic_driver/e1000e/e1000e",
          "nic_driver/e1000e/driver.yaml"}) {
      fs::create_directories((path_ / part).parent_path());
      fs::create_symlink(fs::path(built_) / part, path_ / part);
    }
  }
  ~BinTree() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  // Installs a copy of `program`, a path from the build's root.
  void AddDriver(const std::string& name, const std::string& program) {
    std::filesystem::copy_file(std::filesystem::path(built_) / program,
                               MakePlace(name));
  }
  // Installs a file that says `text`, executable or not.
  void AddFile(const std::string& name, const std::string& text,
               bool executable = true) {
    const std::filesystem::path place = MakePlace(name);
    std::ofstream(place) << text;
    std::filesystem::permissions(place, executable
                                            ? std::filesystem::perms(0755)
                                            : std::filesystem::perms(0644));
  }
  // A name that the policy knows, with no program behind it.
  void AddNothing(const std::string& name) { MakePlace(name); }
  void Remove(const std::string& name) {
    std::filesystem::remove(MakePlace(name));
  }

  // Takes away a program, by its path below the folder.
  void RemoveProgram(const std::string& program) {
    std::filesystem::remove(path_ / program);
  }

  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path MakePlace(const std::string& name) {
    const std::filesystem::path folder = path_ / "nic_driver" / name;
    std::filesystem::create_directories(folder);
    return folder / name;
  }

  std::string built_;
  std::filesystem::path path_;
};

}  // namespace bulkhead::security

#endif  // BULKHEAD_TESTS_SECURITY_BIN_TREE_H_
