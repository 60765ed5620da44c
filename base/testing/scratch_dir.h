// A directory for one test or bench, which leaves nothing behind.
#ifndef BULKHEAD_BASE_TESTING_SCRATCH_DIR_H_
#define BULKHEAD_BASE_TESTING_SCRATCH_DIR_H_

#include <stdlib.h>

#include <cstdio>
#include <filesystem>
#include <string>
#include <system_error>

namespace bulkhead {

// Below /tmp, so that its path is short enough for Unix sockets in it. Removed
// with everything in it; a process that is killed leaves it.
class ScratchDir {
 public:
  ScratchDir() {
    char pattern[] = "/tmp/bulkhead-scratch-XXXXXX";
    if (::mkdtemp(pattern) == nullptr) {
      std::perror("make a directory in /tmp");
      std::abort();
    }
    path_ = pattern;
  }
  ~ScratchDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchDir(const ScratchDir&) = delete;
  ScratchDir& operator=(const ScratchDir&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace bulkhead

#endif  // BULKHEAD_BASE_TESTING_SCRATCH_DIR_H_
