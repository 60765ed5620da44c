#include "supervisor/child_log.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/clock.h"
#include "base/errno_status.h"

namespace bulkhead::supervisor {
namespace {

constexpr uint64_t kSecondNs = 1'000'000'000;
constexpr size_t kReadBytes = 16 << 10;
// A pipe holds 64 KiB; whoever still writes after the death of the process has
// no business to.
constexpr int kLastReads = 8;

}  // namespace

std::string Sanitise(absl::string_view text) {
  std::string clean;
  clean.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte >= 0x20 && byte < 0x7f) || byte == '\n' || byte == '\t') {
      clean.push_back(c);
    } else {
      absl::StrAppendFormat(&clean, "\\x%02x", byte);
    }
  }
  return clean;
}

absl::StatusOr<std::unique_ptr<ChildLog>> ChildLog::Create(
    std::string path, const Limits& limits) {
  std::unique_ptr<ChildLog> log(new ChildLog(std::move(path), limits));
  RETURN_IF_ERROR(log->Open());
  log->allowance_bytes_ = limits.bytes_per_second;
  log->filled_ns_ = MonotonicNs();
  return log;
}

absl::Status ChildLog::Open() {
  file_.Reset(::open(path_.c_str(),
                     O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW,
                     0600));
  if (!file_.valid()) return ErrnoStatus(absl::StrCat("open log ", path_));
  const off_t end = ::lseek(file_.get(), 0, SEEK_END);
  file_bytes_ = end < 0 ? 0 : static_cast<size_t>(end);
  return absl::OkStatus();
}

void ChildLog::Append(absl::string_view text, uint64_t now_ns) {
  const uint64_t passed_ns = std::min(now_ns - filled_ns_, kSecondNs);
  filled_ns_ = now_ns;
  allowance_bytes_ = std::min<uint64_t>(
      limits_.bytes_per_second,
      allowance_bytes_ + limits_.bytes_per_second * passed_ns / kSecondNs);

  const std::string clean = Sanitise(text);
  // Whole pieces only: half a piece that is cut inside an escape reads badly.
  if (clean.size() > allowance_bytes_) {
    dropped_ += text.size();
    dropped_total_ += text.size();
    return;
  }
  SayDropped();
  allowance_bytes_ -= clean.size();
  Write(clean);
}

void ChildLog::Note(absl::string_view text) {
  SayDropped();
  Write(absl::StrCat(line_open_ ? "\n" : "", "supervisor: ", Sanitise(text),
                     "\n"));
}

void ChildLog::Flush() { SayDropped(); }

void ChildLog::SayDropped() {
  if (dropped_ == 0) return;
  Write(absl::StrCat(line_open_ ? "\n" : "",
                     "supervisor: ", std::exchange(dropped_, 0),
                     " bytes dropped: the process writes more than ",
                     limits_.bytes_per_second, " bytes a second\n"));
}

void ChildLog::Write(absl::string_view text) {
  if (text.empty()) return;
  if (file_bytes_ + text.size() > limits_.max_file_bytes && file_bytes_ > 0) {
    ::rename(path_.c_str(), absl::StrCat(path_, ".1").c_str());
    if (!Open().ok()) return;
  }
  // A full disk costs log lines and nothing else.
  const ssize_t written = ::write(file_.get(), text.data(), text.size());
  if (written > 0) file_bytes_ += written;
  line_open_ = text.back() != '\n';
}

absl::StatusOr<std::unique_ptr<LogPipe>> LogPipe::Create(EventLoop& loop,
                                                         UniqueFd read_end,
                                                         ChildLog* log) {
  if (::fcntl(read_end.get(), F_SETFL, O_NONBLOCK) != 0) {
    return ErrnoStatus("prepare a log pipe");
  }
  std::unique_ptr<LogPipe> pipe(new LogPipe(loop, std::move(read_end), log));
  LogPipe* self = pipe.get();
  ASSIGN_OR_RETURN(pipe->watch_,
                   loop.Watch(pipe->pipe_.get(), EPOLLIN, [self](uint32_t) {
                     if (self->ReadSome() != Outcome::kEndOfFile) return;
                     // The process closed it. A level-triggered watch would now
                     // spin.
                     self->loop_.Unwatch(std::exchange(self->watch_, 0));
                   }));
  return pipe;
}

LogPipe::~LogPipe() {
  if (watch_ != 0) loop_.Unwatch(watch_);
  for (int i = 0; i < kLastReads && ReadSome() == Outcome::kRead; ++i) {
  }
  log_->Flush();
}

LogPipe::Outcome LogPipe::ReadSome() {
  char text[kReadBytes];
  const ssize_t got = ::read(pipe_.get(), text, sizeof(text));
  if (got > 0) {
    log_->Append(absl::string_view(text, got), MonotonicNs());
    return Outcome::kRead;
  }
  return got < 0 && (errno == EAGAIN || errno == EINTR) ? Outcome::kNothingNow
                                                        : Outcome::kEndOfFile;
}

}  // namespace bulkhead::supervisor
