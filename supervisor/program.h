// A program file, as it was when it was defined.
#ifndef BULKHEAD_SUPERVISOR_PROGRAM_H_
#define BULKHEAD_SUPERVISOR_PROGRAM_H_

#include <sys/stat.h>

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace bulkhead::supervisor {

// A program that was looked at once and is run by descriptor: replacing the
// file changes nothing, writing into it is noticed.
class Program {
 public:
  // Checks that `path` is a program for this machine; the status says what
  // mends it otherwise.
  static absl::StatusOr<Program> Open(const std::string& path);

  // FailedPrecondition: the file was written into since Open.
  absl::Status CheckUnchanged() const;

  int fd() const { return fd_.get(); }
  const std::string& path() const { return path_; }
  bool dynamic() const { return dynamic_; }

 private:
  Program(std::string path, UniqueFd fd)
      : path_(std::move(path)), fd_(std::move(fd)) {}
  std::string path_;
  UniqueFd fd_;
  struct stat info_ = {};
  bool dynamic_ = false;
};

}  // namespace bulkhead::supervisor

#endif  // BULKHEAD_SUPERVISOR_PROGRAM_H_
