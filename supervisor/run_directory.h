// The directory of one running Bulkhead, which belongs to one supervisor.
#ifndef BULKHEAD_SUPERVISOR_RUN_DIRECTORY_H_
#define BULKHEAD_SUPERVISOR_RUN_DIRECTORY_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace bulkhead::supervisor {

// Holds DIR/supervisor.pid locked. The lock ends with the process, however it
// ends, so that no stale file ever has to be judged.
class RunDirectory {
 public:
  // Makes DIR and DIR/log (mode 0700) where missing. AlreadyExists: another
  // supervisor runs there.
  static absl::StatusOr<std::unique_ptr<RunDirectory>> Take(
      const std::string& path);

  // Takes away what the supervisor made, after an orderly end.
  void Clean();

  const std::string& path() const { return path_; }
  std::string log_directory() const { return path_ + "/log"; }

 private:
  RunDirectory(std::string path, UniqueFd pid_file)
      : path_(std::move(path)), pid_file_(std::move(pid_file)) {}

  std::string path_;
  UniqueFd pid_file_;
};

}  // namespace bulkhead::supervisor

#endif  // BULKHEAD_SUPERVISOR_RUN_DIRECTORY_H_
