#include "clients/capture/capture_run.h"

#include <poll.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/errno_status.h"

namespace bulkhead::capture {
namespace {

using packet_stream::ObservedFrame;
using packet_stream::ObserverSocket;

constexpr uint64_t kMillisecondNs = 1'000'000;
// Nobody tells us of frames: we look, after longer and longer waits while there
// are none. At the longest, half a ring of 1,024 fills up from 256,000 frames a
// second on.
constexpr uint64_t kShortestWaitNs = 50'000;
constexpr uint64_t kLongestWaitNs = 2 * kMillisecondNs;
// A platform service that was killed is back within a second or two.
constexpr uint64_t kRetryNs = 100 * kMillisecondNs;
constexpr uint64_t kPatienceNs = 10'000 * kMillisecondNs;

timespec Now() {
  timespec now;
  ::clock_gettime(CLOCK_REALTIME, &now);
  return now;
}

}  // namespace

absl::Status CaptureRun::Run(const CaptureOptions& options, int stop_fd,
                             CaptureTotals* totals) {
  ASSIGN_OR_RETURN(FrameFilter filter, FrameFilter::Compile(options.filter));
  ASSIGN_OR_RETURN(ObserverSocket socket,
                   ObserverSocket::Connect(options.socket, options.instance));
  ASSIGN_OR_RETURN(
      std::unique_ptr<PcapngFile> file,
      PcapngFile::Create(
          options.file,
          {.name = options.instance,
           .description = absl::StrCat("Bulkhead instance ", options.instance),
           .filter = options.filter,
           .snap_bytes = options.snap_bytes}));
  CaptureRun run(options, std::move(filter), std::move(file));
  run.socket_ = std::move(socket);
  absl::Status status = run.Loop(stop_fd);
  // What was copied last is decided on now.
  run.Look();
  run.LeaveSession();
  *totals = run.totals_;
  run.file_->WriteTotals(totals->written + totals->filtered + totals->lost,
                         totals->lost, Now());
  status.Update(run.file_->Flush());
  // The reader of a pipe has seen enough.
  return absl::IsFailedPrecondition(status) ? absl::OkStatus() : status;
}

absl::Status CaptureRun::Loop(int stop_fd) {
  // The file's head is there before the first frame: a reader may wait for it.
  RETURN_IF_ERROR(file_->Flush());
  end_ns_ = MonotonicNs() + options_.duration_ms * kMillisecondNs;
  uint64_t wait_ns = kShortestWaitNs;
  for (;;) {
    const uint64_t now_ns = MonotonicNs();
    if (Enough(now_ns)) return absl::OkStatus();
    RETURN_IF_ERROR(TakeSessions());
    if (!socket_.has_value()) {
      Reconnect(now_ns);
      if (now_ns >= give_up_ns_) {
        return absl::UnavailableError(
            "look on: the system is gone; the capture ends here");
      }
    }
    const bool busy = Look() > 0;
    if (!busy) RETURN_IF_ERROR(file_->Flush());
    wait_ns =
        busy ? 0 : std::clamp(2 * wait_ns, kShortestWaitNs, kLongestWaitNs);
    const timespec timeout = {.tv_sec = 0,
                              .tv_nsec = static_cast<long>(wait_ns)};
    pollfd watched[] = {{.fd = stop_fd, .events = POLLIN, .revents = 0},
                        {.fd = socket_.has_value() ? socket_->fd() : -1,
                         .events = POLLIN,
                         .revents = 0}};
    ::ppoll(watched, std::size(watched), &timeout, nullptr);
    if (watched[0].revents != 0) return absl::OkStatus();
  }
}

bool CaptureRun::Enough(uint64_t now_ns) const {
  if (options_.count > 0 && totals_.written >= options_.count) return true;
  return options_.duration_ms > 0 && now_ns >= end_ns_;
}

absl::Status CaptureRun::TakeSessions() {
  while (socket_.has_value()) {
    // A filter looks at all of a frame.
    auto session = socket_->Take(options_.filter.empty() ? options_.snap_bytes
                                                         : UINT16_MAX);
    if (absl::IsUnavailable(session.status())) {
      socket_.reset();
      reconnect_ns_ = 0;
      give_up_ns_ = MonotonicNs() + kPatienceNs;
      return absl::OkStatus();
    }
    if (!session.ok()) return session.status();
    if (*session == nullptr) return absl::OkStatus();
    // After a restart of the platform service, one that we have already.
    if (session_ != nullptr && (*session)->id() == session_->id()) continue;
    Look();
    LeaveSession();
    session_ = *std::move(session);
    epoch_ = session_->epoch();
    comment_ = absl::StrCat("session ", session_->id());
  }
  return absl::OkStatus();
}

void CaptureRun::Reconnect(uint64_t now_ns) {
  if (now_ns < reconnect_ns_) return;
  reconnect_ns_ = now_ns + kRetryNs;
  auto socket = ObserverSocket::Connect(options_.socket, options_.instance);
  if (socket.ok()) socket_ = *std::move(socket);
}

void CaptureRun::LeaveSession() {
  if (session_ == nullptr) return;
  // Two looks: one copies, one decides.
  Look();
  lost_earlier_ += session_->lost();
  session_.reset();
}

size_t CaptureRun::Look() {
  if (session_ == nullptr) return 0;
  NoteEpoch();
  const size_t looked =
      session_->Look([this](const ObservedFrame& frame) { Frame(frame); });
  totals_.lost = lost_earlier_ + session_->lost();
  return looked;
}

void CaptureRun::NoteEpoch() {
  const uint32_t epoch = session_->epoch();
  if (epoch == epoch_) return;
  epoch_ = epoch;
  comment_ = absl::StrCat("the driver was replaced: epoch ", epoch);
}

void CaptureRun::Frame(const ObservedFrame& frame) {
  if (!filter_.Passes(frame.bytes, frame.length)) {
    ++totals_.filtered;
    return;
  }
  if (options_.count > 0 && totals_.written >= options_.count) return;
  ++totals_.written;
  const size_t kept = std::min<size_t>(frame.bytes.size(), options_.snap_bytes);
  file_->Write(
      {.bytes = frame.bytes.first(kept),
       .length = frame.length,
       .when = frame.when,
       .direction = frame.sent ? Direction::kOutbound : Direction::kInbound,
       .lost_before = frame.lost_before,
       .comment = comment_});
  comment_.clear();
}

}  // namespace bulkhead::capture
