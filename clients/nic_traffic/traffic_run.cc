#include "clients/nic_traffic/traffic_run.h"

#include <poll.h>

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "base/clock.h"

namespace bulkhead::nic_traffic {
namespace {

using packet_stream::Descriptor;
using packet_stream::RxPiece;
using packet_stream::SessionState;
using packet_stream::TxBuffer;

constexpr uint64_t kMillisecondNs = 1'000'000;
constexpr uint64_t kProgressNs = 100 * kMillisecondNs;
// A window that has not moved for this long has lost its last frames: sending
// goes on, or a lossy link would stop for ever.
constexpr uint64_t kWindowStallNs = 10 * kMillisecondNs;
// With nothing due we still look around this often (health, limits).
constexpr uint64_t kIdleNs = 20 * kMillisecondNs;

const char* NameOf(Mode mode) {
  switch (mode) {
    case Mode::kEcho:
      return "echo";
    case Mode::kSend:
      return "send";
    case Mode::kReceive:
      return "receive";
  }
  return "";
}

const char* NameOf(SessionState state) {
  switch (state) {
    case SessionState::kRunning:
      return "running";
    case SessionState::kRecovering:
      return "recovering";
    case SessionState::kParked:
      return "parked";
    case SessionState::kClosed:
      return "closed";
  }
  return "unknown";
}

std::optional<uint32_t> ExpectedStream(const TrafficOptions& options) {
  if (options.mode == Mode::kReceive && options.stream == 0) {
    return std::nullopt;
  }
  return options.stream;
}

}  // namespace

TrafficRun::TrafficRun(packet_stream::Session* session,
                       const TrafficOptions& options,
                       const volatile std::sig_atomic_t* stop,
                       const sigset_t& wait_mask)
    : session_(session),
      options_(options),
      stop_(stop),
      wait_mask_(wait_mask),
      arrivals_(ExpectedStream(options)),
      pacer_(0, 1, 1, 1) {
  // No frame is larger than a piece times the pieces that make sense here.
  assembly_.reserve(65536);
}

TrafficReport TrafficRun::Run() {
  const bool has_link = AwaitLink();
  source_ = session_->status().mac;
  started_ns_ = MonotonicNs();
  seen_recoveries_ = session_->counters().recoveries;
  next_progress_ns_ = started_ns_;
  if (options_.rate > 0) {
    const uint64_t tick_ns = std::max<uint64_t>(options_.tick_us, 1) * 1000;
    const uint64_t frames_in_10_ms = options_.rate / 100;
    pacer_ = Pacer(started_ns_, options_.rate, tick_ns,
                   std::max<uint64_t>(options_.batch, frames_in_10_ms));
  }
  if (!has_link) return Finish(started_ns_);

  uint64_t now_ns = started_ns_;
  while (!Over()) {
    size_t moved = ReceiveSome();
    now_ns = MonotonicNs();
    if (sending_ended_ns_ == 0) {
      if (Sending(now_ns)) {
        moved += SendDue(now_ns);
      } else {
        // What was due by the end and not a tick later.
        if (options_.rate > 0 && *stop_ == 0) {
          moved += SendDue(std::min(now_ns, EndNs()));
        }
        sending_ended_ns_ = now_ns;
      }
    }
    session_->Flush();
    if (sending_ended_ns_ != 0 && Drained(now_ns)) break;
    if (now_ns >= next_progress_ns_) ReportProgress(now_ns);
    if (moved == 0) Sleep(NextWakeNs(now_ns));
  }
  if (sending_ended_ns_ == 0) sending_ended_ns_ = now_ns;
  ReportProgress(MonotonicNs());
  return Finish(now_ns);
}

// A provider that broke the protocol (DATA_LOSS) will be replaced: the session
// goes on (S6).
bool TrafficRun::Over() const {
  const absl::Status health = session_->health();
  return !health.ok() && !absl::IsDataLoss(health);
}

bool TrafficRun::AwaitLink() {
  const uint64_t deadline_ns =
      MonotonicNs() + options_.link_ms * kMillisecondNs;
  while (*stop_ == 0 && !Over()) {
    ReceiveSome();
    session_->Flush();
    const packet_stream::SessionStatus status = session_->status();
    if (status.state == SessionState::kRunning && status.link_up) return true;
    const uint64_t now_ns = MonotonicNs();
    if (now_ns >= deadline_ns) return false;
    Sleep(std::min(deadline_ns, now_ns + kIdleNs));
  }
  return false;
}

bool TrafficRun::Sending(uint64_t now_ns) const {
  if (*stop_ != 0) return false;
  if (options_.count > 0) {
    const uint64_t done =
        options_.mode == Mode::kReceive ? arrivals_.window().unique() : sent_;
    if (done >= options_.count) return false;
  }
  return now_ns < EndNs();
}

uint64_t TrafficRun::EndNs() const {
  if (options_.duration_ms == 0) return ~uint64_t{0};
  return started_ns_ + options_.duration_ms * kMillisecondNs;
}

bool TrafficRun::Drained(uint64_t now_ns) const {
  switch (options_.mode) {
    case Mode::kReceive:
      return true;
    case Mode::kSend:
      if (session_->tx_in_flight() == 0) return true;
      break;
    case Mode::kEcho:
      if (arrivals_.window().unique() >= sent_ &&
          session_->tx_in_flight() == 0) {
        return true;
      }
      break;
  }
  return now_ns - sending_ended_ns_ >= options_.drain_ms * kMillisecondNs;
}

size_t TrafficRun::ReceiveSome() {
  std::array<RxPiece, kMaxBatch> pieces;
  const size_t taken = session_->Receive({pieces.data(), options_.batch});
  NoteRecoveries();
  if (taken == 0) return 0;
  if (options_.mode != Mode::kSend) {
    const uint64_t now_ns = MonotonicNs();
    for (size_t i = 0; i < taken; ++i) Assemble(pieces[i], now_ns);
  }
  session_->Release({pieces.data(), taken});
  return taken;
}

// Most frames are one piece and are checked where they lie.
void TrafficRun::Assemble(const RxPiece& piece, uint64_t now_ns) {
  const bool more = (piece.flags & packet_stream::kMore) != 0;
  if (assembly_.empty() && !more) {
    arrivals_.Frame({piece.data, piece.length}, now_ns);
    return;
  }
  // A frame beyond the reserved size cannot be one of ours; what does not fit
  // is left out, which makes it corrupt or foreign.
  const size_t room = assembly_.capacity() - assembly_.size();
  const size_t bytes = std::min<size_t>(piece.length, room);
  assembly_.insert(assembly_.end(), piece.data, piece.data + bytes);
  if (more) return;
  arrivals_.Frame(assembly_, now_ns);
  assembly_.clear();
}

// The session recovers once everything from the dead instance was taken and
// released, so what a Receive after that brings is of the new one.
void TrafficRun::NoteRecoveries() {
  const uint64_t recoveries = session_->counters().recoveries;
  if (recoveries == seen_recoveries_) return;
  seen_recoveries_ = recoveries;
  assembly_.clear();  // The rest of that frame will never come.
  arrivals_.Recovered(session_->status().epoch, MonotonicNs());
}

uint64_t TrafficRun::WindowRoom(uint64_t now_ns) const {
  if (options_.window == 0) return kMaxBatch;
  const uint64_t outstanding =
      sent_ - std::min(sent_, arrivals_.window().end());
  if (outstanding < options_.window) return options_.window - outstanding;
  const uint64_t moved_ns = std::max(arrivals_.last_ns(), last_sent_ns_);
  return now_ns - moved_ns > kWindowStallNs ? 1 : 0;
}

size_t TrafficRun::SendDue(uint64_t now_ns) {
  if (options_.mode == Mode::kReceive) return 0;
  uint64_t due = options_.rate > 0 ? pacer_.Due(now_ns) : options_.batch;
  due = std::min<uint64_t>({due, options_.batch, WindowRoom(now_ns)});
  if (options_.count > 0) {
    due = std::min(due, options_.count - std::min(options_.count, sent_));
  }
  if (due == 0) return 0;

  std::array<TxBuffer, kMaxBatch> buffers;
  std::array<Descriptor, kMaxBatch> descriptors;
  const size_t got = session_->AllocTx({buffers.data(), due});
  for (size_t i = 0; i < got; ++i) {
    WriteTestFrame(
        {.stream = options_.stream, .sequence = sent_ + i, .sent_ns = now_ns},
        options_.destination, source_, {buffers[i].data, options_.frame_bytes});
    descriptors[i] = {.offset = buffers[i].offset,
                      .length = static_cast<uint16_t>(options_.frame_bytes),
                      .flags = 0,
                      .checksum_start = 0,
                      .checksum_offset = 0,
                      .segments = 0};
  }
  if (got == 0) return 0;
  session_->SubmitTx({descriptors.data(), got});
  sent_ += got;
  last_sent_ns_ = now_ns;
  if (options_.rate > 0) pacer_.Took(got);
  return got;
}

uint64_t TrafficRun::NextWakeNs(uint64_t now_ns) const {
  uint64_t wake_ns = std::min(next_progress_ns_, now_ns + kIdleNs);
  if (sending_ended_ns_ != 0) {
    wake_ns = std::min(wake_ns,
                       sending_ended_ns_ + options_.drain_ms * kMillisecondNs);
  } else if (options_.mode != Mode::kReceive) {
    wake_ns = std::min(wake_ns, options_.rate > 0 ? pacer_.NextDueNs(now_ns)
                                                  : now_ns + kMillisecondNs);
  }
  if (sending_ended_ns_ == 0 && options_.duration_ms > 0) {
    wake_ns =
        std::min(wake_ns, started_ns_ + options_.duration_ms * kMillisecondNs);
  }
  return std::max(wake_ns, now_ns);
}

void TrafficRun::Sleep(uint64_t until_ns) {
  if (!session_->ArmWait()) return;
  const uint64_t now_ns = MonotonicNs();
  const uint64_t wait_ns = until_ns > now_ns ? until_ns - now_ns : 0;
  const timespec timeout = {
      .tv_sec = static_cast<time_t>(wait_ns / 1'000'000'000u),
      .tv_nsec = static_cast<long>(wait_ns % 1'000'000'000u)};
  pollfd watched = {.fd = session_->fd(), .events = POLLIN, .revents = 0};
  const int ready = ::ppoll(&watched, 1, &timeout, &wait_mask_);
  session_->DisarmWait();
  if (ready == 0) {
    const uint64_t woke_ns = MonotonicNs();
    const uint64_t late_ns = woke_ns - std::min(woke_ns, now_ns + wait_ns);
    longest_oversleep_ns_ = std::max(longest_oversleep_ns_, late_ns);
  }
}

// Of the numbers sent, those neither arrived nor on their way are lost; a
// receiver knows only of the numbers below the highest that it saw.
uint64_t TrafficRun::Lost() const {
  const SequenceWindow& window = arrivals_.window();
  if (options_.mode == Mode::kSend) return 0;
  const uint64_t expected =
      options_.mode == Mode::kReceive || sending_ended_ns_ == 0 ? window.end()
                                                                : sent_;
  return expected - std::min(expected, window.unique());
}

void TrafficRun::ReportProgress(uint64_t now_ns) {
  next_progress_ns_ = now_ns + kProgressNs;
  if (!progress_) return;
  const packet_stream::SessionStatus status = session_->status();
  progress_({.now_ns = now_ns,
             .sent = sent_,
             .received = arrivals_.received(),
             .lost = Lost(),
             .indeterminate = session_->counters().tx_indeterminate,
             .longest_gap_ns = arrivals_.longest_gap_ns(),
             .last_frame_ns = arrivals_.last_ns(),
             .recoveries = arrivals_.recovery_count(),
             .link_up = status.link_up,
             .state = NameOf(status.state)});
}

TrafficReport TrafficRun::Finish(uint64_t ended_ns) {
  if (options_.mode == Mode::kEcho && arrivals_.window().unique() < sent_) {
    arrivals_.Expected(started_ns_, last_sent_ns_);
  }
  TrafficReport report;
  report.instance = options_.instance;
  report.mode = NameOf(options_.mode);
  report.frame_bytes = options_.frame_bytes;
  report.sent = sent_;
  report.not_sent = pacer_.skipped();
  report.received = arrivals_.received();
  report.received_bytes = arrivals_.bytes();
  report.lost = Lost();
  report.duplicated = arrivals_.window().duplicated();
  report.reordered = arrivals_.window().reordered();
  report.stale = arrivals_.window().stale();
  report.corrupted = arrivals_.corrupted();
  report.foreign = arrivals_.foreign();
  report.in_flight = session_->tx_in_flight();
  report.session = session_->counters();
  const packet_stream::SessionStatus status = session_->status();
  report.epoch = status.epoch;
  report.generation = status.generation;
  report.started_ns = started_ns_;
  // Rates are over the time of sending, not of draining.
  const uint64_t end_ns =
      options_.mode == Mode::kReceive ? ended_ns : sending_ended_ns_;
  report.elapsed_ns = end_ns > started_ns_ ? end_ns - started_ns_ : 0;
  report.longest_gap_ns = arrivals_.longest_gap_ns();
  report.longest_gap_at_ns = arrivals_.longest_gap_at_ns();
  report.longest_oversleep_ns = longest_oversleep_ns_;
  report.latency = arrivals_.latency();
  report.long_gaps = arrivals_.long_gaps();
  report.recoveries = arrivals_.recoveries();
  report.interrupted = *stop_ != 0;
  if (Over()) {
    report.error = std::string(session_->health().message());
  } else if (sent_ == 0 && !status.link_up) {
    report.error =
        absl::StrCat("the link did not come up within ", options_.link_ms,
                     " ms (session ", NameOf(status.state),
                     "); see `bulkhead status ", options_.instance, "`");
  }
  return report;
}

}  // namespace bulkhead::nic_traffic
