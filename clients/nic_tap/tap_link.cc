#include "clients/nic_tap/tap_link.h"

#include <poll.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/clock.h"
#include "base/errno_status.h"
#include "base/log.h"

namespace bulkhead::nic_tap {
namespace {

// Turns under load between two looks at the stop signal.
constexpr uint32_t kTurnsPerLook = 64;

void LogFailure(const absl::Status& status) {
  if (!status.ok()) LogWarning(status.message());
}

}  // namespace

TapLink::TapLink(packet_stream::Session* session, TapDevice* tap)
    : session_(session), tap_(tap), pump_(session, tap->fd()) {
  FollowStatus(MonotonicNs());
}

absl::Status TapLink::Run(int stop_fd) {
  for (uint32_t turn = 0; !stopped_; ++turn) {
    const size_t received = pump_.FromNic();
    const size_t sent = pump_.ToNic();
    session_->Flush();
    const uint64_t now_ns = MonotonicNs();
    FollowStatus(now_ns);
    if (received + sent > 0) {
      NoteFrames(received > 0, now_ns);
      if (turn % kTurnsPerLook != 0) continue;
      pollfd stop = {.fd = stop_fd, .events = POLLIN, .revents = 0};
      stopped_ = ::poll(&stop, 1, 0) > 0;
      continue;
    }
    const absl::Status health = session_->health();
    // DataLoss: this driver broke the protocol; the next one is on its way.
    if (!health.ok() && !absl::IsDataLoss(health)) return health;
    RETURN_IF_ERROR(pump_.tap_status());
    Sleep(stop_fd);
  }
  return absl::OkStatus();
}

void TapLink::Sleep(int stop_fd) {
  if (!session_->ArmWait()) return;
  int timeout_ms = -1;
  if (carrier_.deadline_ns() != 0) {
    const uint64_t now_ns = MonotonicNs();
    const uint64_t left_ns =
        carrier_.deadline_ns() - std::min(carrier_.deadline_ns(), now_ns);
    timeout_ms = static_cast<int>(left_ns / 1'000'000 + 1);
  }
  // A TAP device that we have no buffers for would wake us for nothing; that
  // it is gone is told anyway.
  const auto tap_events = static_cast<short>(pump_.starved() ? 0 : POLLIN);
  pollfd watched[] = {
      {.fd = session_->fd(), .events = POLLIN, .revents = 0},
      {.fd = tap_->fd(), .events = tap_events, .revents = 0},
      {.fd = stop_fd, .events = POLLIN, .revents = 0},
  };
  ::poll(watched, std::size(watched), timeout_ms);
  stopped_ = watched[2].revents != 0;
  session_->DisarmWait();
}

void TapLink::FollowStatus(uint64_t now_ns) {
  const packet_stream::SessionStatus status = session_->status();
  const bool up = carrier_.Update(status, now_ns);
  if (up != carrier_told_) {
    LogFailure(tap_->SetCarrier(up));
    carrier_told_ = up;
  }
  if (status == followed_) return;
  FollowNic(status);
  followed_ = status;
}

void TapLink::FollowNic(const packet_stream::SessionStatus& status) {
  // Before a driver is attached for the first time there is none.
  if (status.mac != MacAddress{} && status.mac != followed_.mac) {
    LogFailure(tap_->SetMac(status.mac));
  }
  if (status.offloads != followed_.offloads) {
    pump_.SetOffloads(status.offloads);
    LogFailure(tap_->SetOffloads(TapOffloads(status.offloads)));
  }
  if (status.mtu != 0 && status.mtu != followed_.mtu) {
    const absl::Status set = tap_->SetMtu(status.mtu);
    if (!set.ok()) {
      LogWarning(absl::StrCat(set.message(), ": the NIC's is ", status.mtu,
                              " now; tell the interface: ip link set ",
                              tap_->name(), " mtu ", status.mtu));
    }
  }
}

void TapLink::NoteFrames(bool received, uint64_t now_ns) {
  const uint64_t recoveries = session_->counters().recoveries;
  if (recoveries != recoveries_) {
    recoveries_ = recoveries;
    paused_ = true;
  }
  if (!paused_) {
    last_frame_ns_ = now_ns;
    return;
  }
  if (!received) return;
  paused_ = false;
  ++pauses_.count;
  const uint64_t pause_ns = last_frame_ns_ == 0 ? 0 : now_ns - last_frame_ns_;
  pauses_.longest_ns = std::max(pauses_.longest_ns, pause_ns);
  LogInfo(absl::StrFormat("%s: the driver was replaced; %.1f ms without frames",
                          tap_->name(), static_cast<double>(pause_ns) / 1e6));
  last_frame_ns_ = now_ns;
}

std::string ReportJson(const TapLink& link,
                       const packet_stream::SessionCounters& session) {
  const PumpCounters& pump = link.pump().counters();
  const nlohmann::ordered_json report = {
      {"to_nic",
       {{"frames", pump.to_nic},
        {"bytes", pump.to_nic_bytes},
        {"segments", pump.to_nic_segments},
        {"cut_here", pump.to_nic_cut_here},
        {"cut_short", pump.to_nic_cut_short},
        {"unintelligible", pump.to_nic_unintelligible}}},
      {"from_nic",
       {{"frames", pump.from_nic},
        {"bytes", pump.from_nic_bytes},
        {"refused", pump.from_nic_refused}}},
      {"session",
       {{"tx_done", session.tx_done},
        {"tx_dropped_invalid", session.tx_dropped_invalid},
        {"tx_dropped_no_link", session.tx_dropped_no_link},
        {"tx_dropped_device", session.tx_dropped_device},
        {"tx_indeterminate", session.tx_indeterminate},
        {"tx_resubmitted", session.tx_resubmitted},
        {"recoveries", session.recoveries}}},
      {"pauses",
       {{"count", link.pauses().count},
        {"longest_ns", link.pauses().longest_ns}}},
  };
  return report.dump();
}

}  // namespace bulkhead::nic_tap
