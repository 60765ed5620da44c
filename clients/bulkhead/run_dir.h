// The run directory of one system: its sockets, logs, and who owns it.
#ifndef BULKHEAD_CLIENTS_BULKHEAD_RUN_DIR_H_
#define BULKHEAD_CLIENTS_BULKHEAD_RUN_DIR_H_

#include <sys/types.h>

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace bulkhead::cli {

// A supervisor that runs at this moment. The descriptor names that process for
// good: a recycled pid is never signalled through it.
struct RunningSupervisor {
  pid_t pid = 0;
  UniqueFd pidfd;
};

class RunDir {
 public:
  // `given`, else $BULKHEAD_RUN_DIR, else /run/bulkhead for root, else
  // $XDG_RUNTIME_DIR/bulkhead. Made absolute; nothing is created.
  static absl::StatusOr<RunDir> Resolve(const std::string& given);

  const std::string& path() const { return path_; }
  std::string PlatformSocket() const { return path_ + "/platform.sock"; }
  std::string SessionSocket() const { return path_ + "/session.sock"; }
  std::string PidFile() const { return path_ + "/supervisor.pid"; }
  std::string LogDir() const { return path_ + "/log"; }
  std::string LogFile(const std::string& process) const {
    return LogDir() + "/" + process + ".log";
  }

  // Makes the directory, for this user alone, and log/ in it.
  // Errors: PERMISSION_DENIED when it belongs to somebody else.
  absl::Status Create() const;

  // The supervisor that holds the lock on supervisor.pid; none when nobody
  // does, whatever the file says.
  absl::StatusOr<std::optional<RunningSupervisor>> FindSupervisor() const;

  // Removes what a system leaves in it, and the directory once it is empty.
  // Only names that Bulkhead makes are touched.
  // Requires: no supervisor runs in it.
  absl::Status RemoveFiles() const;

  // "no Bulkhead runs in /run/bulkhead; start one with `bulkhead up FILE`"
  absl::Status NothingRuns() const;

 private:
  explicit RunDir(std::string path) : path_(std::move(path)) {}

  std::string path_;
};

}  // namespace bulkhead::cli

#endif  // BULKHEAD_CLIENTS_BULKHEAD_RUN_DIR_H_
