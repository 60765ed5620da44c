// The router's clients: sessions taken in, offered to each generation, watched
// for progress, closed.
#include <chrono>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/errno_status.h"
#include "base/log.h"
#include "platform_service/router/client_policy.h"
#include "platform_service/router/router_host.h"

namespace bulkhead::platform {
namespace {

using packet_stream::SessionState;
using packet_stream::SessionStatus;

constexpr uint32_t kMtu = 1500;
// A client of the router has this one.
constexpr uint32_t kLane = 0;

constexpr uint64_t kLookInterval_ns =
    std::chrono::nanoseconds(ProgressCheck::kInterval).count();
// As instances/instance_progress.cc.
constexpr uint64_t kRestInterval_ns = 10'000'000'000;

}  // namespace

absl::Status RouterHost::MayOpen(const std::string& label) const {
  const auto domain = DomainOf(spec_.config, label);
  if (!domain.ok()) return domain.status();
  if (sessions_.size() < spec_.config.max_clients) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(
      "open a session: the router `", spec_.config.name, "` has ",
      sessions_.size(),
      " clients, which is its `max_clients`; close one, or raise it in the "
      "scenario"));
}

void RouterHost::HearClientOf(Session& session) {
  const uint64_t id = session.id();
  session.set_vanished([this, id] { CloseSession(id, "the client closed it"); });
  session.set_accused([this, id](absl::string_view words) {
    Breach(absl::StrCat("the client of session ", id, " reports: ",
                        absl::CHexEscape(words)));
  });
}

void RouterHost::OpenSession(std::unique_ptr<Session> session) {
  std::set<nic_router::MacAddress> taken;
  for (const auto& [id, other] : sessions_) taken.insert(other->status().mac);
  SessionStatus status = session->status();
  status.mac = MacOf(spec_.config.name, session->identity().label, taken);
  status.mtu = kMtu;
  session->Show(status);
  HearClientOf(*session);
  Session& taken_in = *session;
  sessions_[session->id()] = std::move(session);
  // Parked before it is offered: a session that the router has and nobody
  // remembers would be served for ever.
  taken_in.Park();
  if (channel_ != nullptr) OfferSession(taken_in);
  ShowStatus(taken_in);
  WatchProgress();
}

void RouterHost::OfferSession(Session& session) {
  nic_router::api::ToRouter message;
  nic_router::api::ClientGrant* grant =
      message.mutable_open_client()->mutable_client();
  FdList fds;
  SessionGrant control;
  absl::Status status = session.AppendGrant(nullptr, &control, &fds);
  absl::StatusOr<FrameMemory> frames = session.ShareFrames();
  if (status.ok()) status = frames.status();
  if (!status.ok()) {
    // The next generation is offered it again.
    LogError(absl::StrCat("session ", session.id(), ": ", status.message()));
    return;
  }
  const SessionStatus shown = session.status();
  grant->set_session_id(control.session_id());
  grant->set_epoch(control.epoch());
  grant->set_tx_buffers(control.tx_buffers());
  grant->set_rx_buffers(control.rx_buffers());
  grant->set_buffer_bytes(control.buffer_bytes());
  grant->set_client_control_fd(control.client_control_fd());
  grant->set_provider_control_fd(control.provider_control_fd());
  grant->set_tx_doorbell_fd(control.tx_doorbell_fd(kLane));
  grant->set_rx_doorbell_fd(control.rx_doorbell_fd(kLane));
  grant->set_tx_data_fd(fds.Own(std::move(frames->tx_data)));
  grant->set_rx_data_fd(fds.Own(std::move(frames->rx_data)));
  grant->set_label(session.identity().label);
  grant->set_mac(shown.mac.data(), shown.mac.size());
  grant->set_mtu(shown.mtu);
  session.Park();
  channel_->Send(std::move(message), fds.fds());
}

void RouterHost::ShowStatus(Session& session) {
  SessionStatus status = session.status();
  status.state = SessionState::kRecovering;
  if (phase() == Phase::kParked) status.state = SessionState::kParked;
  if (phase() == Phase::kAttached && session.granted()) {
    status.state = SessionState::kRunning;
  }
  status.link_up = status.state == SessionState::kRunning &&
                   pulsed_.count(session.id()) == 0;
  status.generation = life_.generation();
  session.Show(status);
}

void RouterHost::ShowAll() {
  for (auto& [id, session] : sessions_) ShowStatus(*session);
}

// The router copies: no DMA has to be stopped first, and its mappings keep the
// memory for as long as it looks at it.
void RouterHost::CloseSession(uint64_t id, const std::string& reason) {
  const auto it = sessions_.find(id);
  if (it == sessions_.end()) return;
  const std::unique_ptr<Session> session = std::move(it->second);
  sessions_.erase(it);
  progress_.erase(id);
  traffic_watch_.Disarm();
  session->Close(reason);
  Record("session_closed",
         absl::StrCat("session ", id, " of ", session->identity().label, ": ",
                      reason));
  if (channel_ != nullptr) {
    nic_router::api::ToRouter message;
    message.mutable_close_client()->set_session_id(id);
    channel_->Send(std::move(message));
  }
  WatchProgress();
}

void RouterHost::CloseAll(const std::string& reason) {
  while (!sessions_.empty()) CloseSession(sessions_.begin()->first, reason);
}

void RouterHost::CloseDisallowed() {
  std::vector<std::pair<uint64_t, std::string>> disallowed;
  for (const auto& [id, session] : sessions_) {
    const auto domain = DomainOf(spec_.config, session->identity().label);
    if (!domain.ok()) disallowed.emplace_back(id, domain.status().message());
  }
  for (const auto& [id, why] : disallowed) CloseSession(id, why);
}

void RouterHost::AdoptSession(std::unique_ptr<Session> session) {
  // One that is closed had nobody but us to remember it.
  if (session->closed() || !defined()) {
    return session->Close("the router is gone");
  }
  session->ForgetMapping();
  HearClientOf(*session);
  Session& adopted = *session;
  sessions_[session->id()] = std::move(session);
  // Whether the last platform service came to send its offer is not known; the
  // router takes one that it has for a repetition.
  if (channel_ != nullptr) OfferSession(adopted);
}

// --- Progress -------------------------------------------------------------

void RouterHost::LookLater(uint64_t interval_ns) {
  loop_.Cancel(progress_timer_);
  const uint64_t now_ns = MonotonicNs();
  progress_timer_ =
      loop_.At(now_ns + interval_ns - now_ns % interval_ns, [this] {
        progress_timer_ = 0;
        CheckProgress();
      });
}

void RouterHost::WatchProgress() {
  if (phase() != Phase::kAttached || sessions_.empty()) return StopProgress();
  if (progress_timer_ != 0 && !traffic_watch_.armed()) return;
  traffic_watch_.Disarm();
  for (auto& [id, check] : progress_) check.Restart();
  link_.Attend(spec_.config.name);
  LookLater(kLookInterval_ns);
}

void RouterHost::StopProgress() {
  progress_.clear();
  traffic_watch_.Disarm();
  loop_.Cancel(std::exchange(progress_timer_, 0));
}

void RouterHost::CheckProgress() {
  if (phase() != Phase::kAttached || sessions_.empty()) return StopProgress();
  const int patience = ProgressCheck::PatienceOf(
      std::chrono::milliseconds(spec_.heartbeat.interval_ms),
      spec_.heartbeat.misses);
  bool quiet = true;
  for (const auto& [id, session] : sessions_) {
    ProgressCheck& check = progress_[id];
    switch (check.Look(session->ReadPositions(kLane), true, patience)) {
      case ProgressCheck::Verdict::kFine:
        break;
      case ProgressCheck::Verdict::kNudge:
        session->NudgeProvider();
        break;
      case ProgressCheck::Verdict::kStuck:
        check.Restart();
        Breach(absl::StrCat("no progress: frames of session ", id,
                            " wait and none is acknowledged"));
        break;
    }
    quiet = quiet && check.quiet();
  }
  if (!quiet) {
    traffic_watch_.Disarm();
    return LookLater(kLookInterval_ns);
  }
  LookLater(Listen() ? kRestInterval_ns : kLookInterval_ns);
}

// Arm, re-check: false when something has moved in between. Only clients are
// listened to: what comes from an uplink is answered by one of them, or was not
// for any.
bool RouterHost::Listen() {
  if (traffic_watch_.armed()) return true;
  std::vector<int> bells;
  for (const auto& [id, session] : sessions_) {
    bells.push_back(session->client_bell(kLane));
  }
  if (const absl::Status armed = traffic_watch_.Arm(bells); !armed.ok()) {
    LogWarning(absl::StrCat(spec_.config.name, ": ", armed.message()));
    return false;
  }
  for (const auto& [id, session] : sessions_) {
    if (progress_[id].StillQuiet(session->ReadPositions(kLane))) continue;
    traffic_watch_.Disarm();
    return false;
  }
  return true;
}

}  // namespace bulkhead::platform
