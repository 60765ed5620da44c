// Reading a process's log: NAME.log.1 is the older part, NAME.log the newer.
#ifndef BULKHEAD_CLIENTS_BULKHEAD_LOG_FILE_H_
#define BULKHEAD_CLIENTS_BULKHEAD_LOG_FILE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "clients/bulkhead/run_dir.h"

namespace bulkhead::cli {

// Whether `name` can be a process's: no path leaves the log folder.
bool IsProcessName(const std::string& name);

// The processes that have a log, sorted.
std::vector<std::string> ProcessesWithLogs(const RunDir& run_dir);

// The last `lines` lines of a text (0: all of it).
std::string LastLines(const std::string& text, size_t lines);

// "\nlast lines of the log of NAME:\n…" for messages; empty without a log.
std::string LogTail(const RunDir& run_dir, const std::string& name);

class LogFile {
 public:
  // Errors: NOT_FOUND with the names that there are.
  static absl::StatusOr<LogFile> Open(const RunDir& run_dir,
                                      const std::string& name);

  // Both parts, from the beginning.
  std::string ReadAll();
  // What was written since the last call, through a change of files.
  std::string ReadMore();

 private:
  explicit LogFile(std::string path) : path_(std::move(path)) {}
  bool WasReplaced() const;

  std::string path_;
  UniqueFd file_;
};

}  // namespace bulkhead::cli

#endif  // BULKHEAD_CLIENTS_BULKHEAD_LOG_FILE_H_
