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
  CaptureRun run(options, std::move(filter));
  RETURN_IF_ERROR(run.Connect());
  RETURN_IF_ERROR(run.OpenFile());
  absl::Status status = run.Loop(stop_fd);
  *totals = run.Finish();
  status.Update(run.file_->Flush());
  // The reader of a pipe has seen enough.
  return absl::IsFailedPrecondition(status) ? absl::OkStatus() : status;
}

absl::Status CaptureRun::Connect() {
  ASSIGN_OR_RETURN(ObserverSocket socket,
                   ObserverSocket::Connect(options_.socket, options_.instance,
                                           options_.domain));
  socket_ = std::move(socket);
  return absl::OkStatus();
}

// With one interface, which a reader may wait for: it is called what was asked
// for.
absl::Status CaptureRun::OpenFile() {
  std::string name = options_.instance;
  if (!options_.domain.empty()) {
    absl::StrAppend(&name, ", domain ", options_.domain);
  }
  ASSIGN_OR_RETURN(file_,
                   PcapngFile::Create(
                       options_.file,
                       {.name = name,
                        .description = absl::StrCat("Bulkhead instance ", name),
                        .filter = options_.filter,
                        .snap_bytes = options_.snap_bytes}));
  interfaces_.emplace_back(name);
  return absl::OkStatus();
}

uint32_t CaptureRun::InterfaceOf(const std::string& place) {
  for (uint32_t i = 0; i < interfaces_.size(); ++i) {
    if (interfaces_[i].name == place) return i;
  }
  interfaces_.emplace_back(place);
  return file_->AddInterface(
      {.name = place,
       .description = absl::StrCat("Bulkhead session at ", place),
       .filter = options_.filter,
       .snap_bytes = options_.snap_bytes});
}

CaptureTotals CaptureRun::Finish() {
  for (Source& source : sources_) LookForTheLastTime(source);
  CaptureTotals totals{.written = written_, .filtered = filtered_};
  for (uint32_t i = 0; i < interfaces_.size(); ++i) {
    totals.lost += interfaces_[i].count.lost;
    file_->WriteTotals(i, interfaces_[i].count, Now());
  }
  return totals;
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
    if (!busy) {
      LeaveClosed();
      RETURN_IF_ERROR(file_->Flush());
    }
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
  if (options_.count > 0 && written_ >= options_.count) return true;
  return options_.duration_ms > 0 && now_ns >= end_ns_;
}

absl::Status CaptureRun::TakeSessions() {
  while (socket_.has_value()) {
    // A filter looks at all of a frame.
    auto taken = socket_->Take(options_.filter.empty() ? options_.snap_bytes
                                                       : UINT16_MAX);
    if (absl::IsUnavailable(taken.status())) {
      socket_.reset();
      reconnect_ns_ = 0;
      give_up_ns_ = MonotonicNs() + kPatienceNs;
      return absl::OkStatus();
    }
    if (!taken.ok()) return taken.status();
    if (*taken == nullptr) return absl::OkStatus();
    Source source;
    source.session = *std::move(taken);
    // After a restart of the platform service, one that we have already.
    const bool known =
        std::any_of(sources_.begin(), sources_.end(), [&](const Source& each) {
          return each.session->id() == source.session->id();
        });
    if (known) continue;
    source.interface = InterfaceOf(source.session->place());
    source.epoch = source.session->epoch();
    source.comment = absl::StrCat("session ", source.session->id());
    sources_.push_back(std::move(source));
  }
  return absl::OkStatus();
}

void CaptureRun::Reconnect(uint64_t now_ns) {
  if (now_ns < reconnect_ns_) return;
  reconnect_ns_ = now_ns + kRetryNs;
  // Until it is back, or our patience is over.
  Connect().IgnoreError();
}

void CaptureRun::LeaveClosed() {
  for (Source& source : sources_) {
    if (!source.session->closed()) continue;
    LookForTheLastTime(source);
    source.session.reset();
  }
  std::erase_if(sources_,
                [](const Source& source) { return source.session == nullptr; });
}

// Two looks: one copies, one decides.
void CaptureRun::LookForTheLastTime(Source& source) {
  LookAt(source);
  LookAt(source);
}

size_t CaptureRun::Look() {
  size_t looked = 0;
  for (Source& source : sources_) looked += LookAt(source);
  return looked;
}

size_t CaptureRun::LookAt(Source& source) {
  const uint32_t epoch = source.session->epoch();
  if (epoch != source.epoch) {
    source.epoch = epoch;
    source.comment = absl::StrCat("the driver was replaced: epoch ", epoch);
  }
  const size_t looked = source.session->Look(
      [&](const ObservedFrame& frame) { Frame(source, frame); });
  const uint64_t lost = source.session->lost();
  CaptureCount& count = interfaces_[source.interface].count;
  count.received += lost - source.lost_until_now;
  count.lost += lost - source.lost_until_now;
  source.lost_until_now = lost;
  return looked;
}

void CaptureRun::Frame(Source& source, const ObservedFrame& frame) {
  ++interfaces_[source.interface].count.received;
  if (!filter_.Passes(frame.bytes, frame.length)) {
    ++filtered_;
    return;
  }
  if (options_.count > 0 && written_ >= options_.count) return;
  ++written_;
  const size_t kept = std::min<size_t>(frame.bytes.size(), options_.snap_bytes);
  file_->Write(
      {.interface = source.interface,
       .bytes = frame.bytes.first(kept),
       .length = frame.length,
       .when = frame.when,
       .direction = frame.sent ? Direction::kOutbound : Direction::kInbound,
       .lost_before = frame.lost_before,
       .comment = source.comment});
  source.comment.clear();
}

}  // namespace bulkhead::capture
