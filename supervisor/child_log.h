// What a process writes to standard error, brought to run_dir/log/NAME.log.
#ifndef BULKHEAD_SUPERVISOR_CHILD_LOG_H_
#define BULKHEAD_SUPERVISOR_CHILD_LOG_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"

namespace bulkhead::supervisor {

// Every byte outside printable ASCII, tab and newline as \xNN, so that a log
// can be shown on a terminal.
std::string Sanitise(absl::string_view text);

// One log file. A process can neither fill the disk nor keep the supervisor
// busy with the disk:
//   - a file of max_file_bytes becomes PATH.1 (the one before is dropped),
//   - above bytes_per_second (with one second's worth as burst) text is
//     dropped, and a line says how much.
class ChildLog {
 public:
  struct Limits {
    size_t max_file_bytes = 256 << 10;
    size_t bytes_per_second = 64 << 10;
  };

  static absl::StatusOr<std::unique_ptr<ChildLog>> Create(std::string path,
                                                          const Limits& limits);

  // Raw text of the process.
  void Append(absl::string_view text, uint64_t now_ns);
  // A line of the supervisor's own: never dropped.
  void Note(absl::string_view text);
  // Writes what is still to be said about dropped bytes.
  void Flush();

  uint64_t dropped_bytes() const { return dropped_total_; }

 private:
  ChildLog(std::string path, const Limits& limits)
      : path_(std::move(path)), limits_(limits) {}
  absl::Status Open();
  void Write(absl::string_view text);
  void SayDropped();

  std::string path_;
  Limits limits_;
  UniqueFd file_;
  size_t file_bytes_ = 0;
  bool line_open_ = false;
  uint64_t filled_ns_ = 0;
  size_t allowance_bytes_ = 0;
  uint64_t dropped_ = 0;  // Not yet said.
  uint64_t dropped_total_ = 0;
};

// Feeds one process's pipe into a log. Destroying it first takes what is left
// in the pipe.
class LogPipe {
 public:
  // `log` must outlive it.
  static absl::StatusOr<std::unique_ptr<LogPipe>> Create(EventLoop& loop,
                                                         UniqueFd read_end,
                                                         ChildLog* log);
  ~LogPipe();

 private:
  LogPipe(EventLoop& loop, UniqueFd pipe, ChildLog* log)
      : loop_(loop), pipe_(std::move(pipe)), log_(log) {}
  enum class Outcome { kRead, kNothingNow, kEndOfFile };
  Outcome ReadSome();

  EventLoop& loop_;
  UniqueFd pipe_;
  ChildLog* log_;
  EventLoop::WatchId watch_ = 0;
};

}  // namespace bulkhead::supervisor

#endif  // BULKHEAD_SUPERVISOR_CHILD_LOG_H_
