// The life of the process: definition, grants, deaths, removal, and what is
// parked. What the router says is in router_messages.cc, its clients are in
// router_sessions.cc.
#include "platform_service/router/router_host.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/log.h"
#include "nic_router/api/config_message.h"
#include "platform_service/parking/state.pb.h"

namespace bulkhead::platform {
namespace {

using supervisor::ProcessState;

constexpr char kKey[] = "router";

// Of a client's session, of an uplink's, and of the process itself.
constexpr uint32_t kFdsPerClient = 8;
constexpr uint32_t kFdsPerUplink = 12;
constexpr uint32_t kOwnFds = 64;

// What only a process defined afresh can have.
bool SameProcess(const policy::RouterSpec& a, const policy::RouterSpec& b) {
  return a.standby == b.standby && a.restart == b.restart &&
         a.heartbeat == b.heartbeat && a.limits == b.limits &&
         a.config.max_flows == b.config.max_flows &&
         a.config.max_clients == b.config.max_clients;
}

}  // namespace

RouterHost::RouterHost(EventLoop& loop, SupervisorLink& link,
                       std::string program, Hooks hooks)
    : loop_(loop),
      link_(link),
      program_(std::move(program)),
      hooks_(std::move(hooks)) {}

RouterHost::~RouterHost() {
  loop_.Cancel(uplink_timer_);
  loop_.Cancel(progress_timer_);
  loop_.Cancel(pulse_timer_);
  for (auto& [number, query] : queries_) loop_.Cancel(query.deadline);
}

bool RouterHost::Owns(const std::string& process) const {
  return defined() && process == spec_.config.name;
}

supervisor::ProcessSpec RouterHost::MakeProcessSpec() const {
  supervisor::ProcessSpec spec;
  spec.set_name(spec_.config.name);
  spec.set_program(program_);
  spec.set_needs_payload(true);
  spec.set_warm_spare(spec_.standby);
  spec.set_memory_bytes(spec_.limits.memory_bytes);
  spec.mutable_cpus()->Assign(spec_.limits.cpus.begin(),
                              spec_.limits.cpus.end());
  uint32_t fds = kOwnFds + kFdsPerClient * spec_.config.max_clients;
  for (const nic_router::UplinkConfig& uplink : spec_.config.uplinks) {
    fds += kFdsPerUplink * static_cast<uint32_t>(uplink.instances.size());
  }
  spec.set_max_fds(std::max(fds, spec_.limits.max_fds));
  auto* restart = spec.mutable_restart();
  restart->set_backoff_first_ms(spec_.restart.backoff_first_ms);
  restart->set_backoff_max_ms(spec_.restart.backoff_max_ms);
  restart->set_park_after(spec_.restart.park_after);
  restart->set_stable_after_ms(spec_.restart.stable_after_ms);
  spec.mutable_heartbeat()->set_interval_ms(spec_.heartbeat.interval_ms);
  spec.mutable_heartbeat()->set_misses(spec_.heartbeat.misses);
  return spec;
}

// --- Towards what is wanted -----------------------------------------------

void RouterHost::Apply(const std::optional<policy::RouterSpec>& wanted) {
  wanted_ = wanted;
  if (ending_) return;
  if (!defined()) {
    if (wanted_) Define();
    return;
  }
  if (!wanted_ || wanted_->config.name != spec_.config.name) {
    CloseAll(absl::StrCat("the router ", spec_.config.name,
                          " is being removed"));
    return Leave("");
  }
  if (life_.leaving()) return;  // Removed brings the rest about.
  const bool same_process = SameProcess(spec_, *wanted_);
  const bool same_config = spec_.config == wanted_->config;
  if (!same_process) return Leave("it is defined afresh");
  spec_ = *wanted_;
  if (same_config) return;
  CloseDisallowed();
  TellConfig();
  SettleUplinks();
}

void RouterHost::Define() {
  spec_ = *wanted_;
  life_.set_reason("");
  life_.Define(MakeProcessSpec());
  CloseDisallowed();
  life_.TryBegin();
}

// The process ends; sessions that are not closed live on (S6).
void RouterHost::Leave(const std::string& reason) {
  if (life_.leaving()) return;
  life_.Leave();
  life_.set_reason(reason);
  link_.Remove(spec_.config.name);
  // One that could not be defined cannot be waited for.
  if (life_.refused()) OnRemoved();
}

void RouterHost::RemoveAll(std::function<void(bool was)> gone) {
  gone_ = std::move(gone);
  const bool was = defined();
  Apply(std::nullopt);
  if (!was) std::exchange(gone_, nullptr)(false);
}

void RouterHost::OnRemoved() {
  // Nobody here asked for it: the supervisor ends the whole system.
  if (!life_.leaving()) ending_ = true;
  life_.OnRemoved();
  if (ending_) return;
  if (wanted_ && wanted_->config.name == spec_.config.name) return Define();
  CloseAll("the router is gone");
  state_.Reset();
  state_bytes_ = 0;
  link_.Unpark(kKey);
  if (gone_) return std::exchange(gone_, nullptr)(true);
  if (wanted_) Define();
}

// --- What the supervisor says ---------------------------------------------

void RouterHost::OnState(const ProcessState& state) {
  pid_ = state.pid();
  life_.OnState(state);
}

void RouterHost::OnRefused(const std::string& reason) {
  life_.OnRefused(reason);
  if (life_.refused() && life_.leaving()) OnRemoved();
}

bool RouterHost::DefineAgain() {
  if (!life_.refused() || life_.leaving()) return false;
  Define();
  return true;
}

void RouterHost::Recover() {
  for (auto& [id, session] : sessions_) {
    session->Recover();
    Record("epoch", absl::StrCat("session ", id, " at epoch ",
                                 session->epoch()));
  }
  life_.TryBegin();
  Park();
}

// What belongs to the generation that is dead. Its uplinks' sessions end when
// its sockets close.
void RouterHost::EndGeneration() {
  DropChannel();
  StopProgress();
  uplinks_.clear();
  stray_answers_ = 0;
  while (!queries_.empty()) {
    EndQuery(queries_.begin()->first,
             absl::UnavailableError(
                 absl::StrCat("ask the router: it died meanwhile (see "
                              "`bulkhead events ",
                              spec_.config.name, "`); ask again")));
  }
}

// Not destroyed before the next turn: the caller may be a handler of it.
void RouterHost::DropChannel() {
  if (channel_ == nullptr) return;
  channel_->Silence();
  loop_.Post([dead = std::shared_ptr<RouterChannel>(std::move(channel_))] {});
}

void RouterHost::ShowParked() {
  ShowAll();
  Park();
}

// --- The grant ------------------------------------------------------------

void RouterHost::BeginGeneration() {
  const absl::Status begun = Begin();
  if (!begun.ok()) Breach(absl::StrCat("begin: ", begun.message()));
}

absl::StatusOr<std::unique_ptr<RouterChannel>> RouterHost::MakeChannel(
    UniqueFd fd) {
  return RouterChannel::Create(
      loop_, std::move(fd),
      {[this](const nic_router::api::FromRouter& message) {
         HandleMessage(message);
       },
       [this](const std::string& reason) { Breach(reason); }});
}

absl::Status RouterHost::Begin() {
  auto pair = SeqpacketChannel::CreatePair();
  if (!pair.ok()) return pair.status();
  ASSIGN_OR_RETURN(channel_, MakeChannel(pair->first.ReleaseFd()));
  nic_router::api::RouterGrant grant;
  FdList fds;
  grant.set_platform_fd(fds.Own(pair->second.ReleaseFd()));
  *grant.mutable_config() = nic_router::ToMessage(spec_.config);
  if (state_.valid()) {
    grant.set_state_bytes(state_bytes_);
    grant.set_state_fd(fds.Add(state_));
  }
  life_.Begin(grant.SerializeAsString(), fds.fds());
  Record("granted", absl::StrCat(sessions_.size(), " clients"));
  // Parked first: the successor of a platform service that dies here offers
  // them again.
  Park();
  for (auto& [id, session] : sessions_) OfferSession(*session);
  return absl::OkStatus();
}

// --- Parking --------------------------------------------------------------

void RouterHost::Park() {
  if (!defined()) return;
  parking::RouterState state;
  FdList fds;
  state.set_name(spec_.config.name);
  state.set_generation(life_.newest_generation());
  state.set_begun(life_.begun());
  if (life_.begun()) state.set_channel_fd(fds.Add(channel_->fd()));
  state.set_attached(phase() == Phase::kAttached);
  state.set_state_bytes(state_bytes_);
  if (state_.valid()) state.set_state_fd(fds.Add(state_));
  for (const auto& [instance, session_id] : uplinks_) {
    auto* uplink = state.add_uplink();
    uplink->set_instance(instance);
    uplink->set_session_id(session_id);
  }
  link_.Park(kKey, state.SerializeAsString(), fds.fds());
  for (auto& [id, session] : sessions_) session->Park();
}

void RouterHost::Restore(const std::optional<policy::RouterSpec>& wanted,
                         ParkedEntries* entries) {
  wanted_ = wanted;
  auto node = entries->extract(kKey);
  parking::RouterState state;
  if (node.empty() || !state.ParseFromString(node.mapped().state()) ||
      !wanted || state.name() != wanted->config.name) {
    return Apply(wanted);
  }
  ParkedEntry& entry = node.mapped();
  spec_ = *wanted;
  state_bytes_ = state.state_bytes();
  if (state_bytes_ > 0) state_ = entry.Take(state.state_fd());
  if (state.begun()) {
    auto channel = MakeChannel(entry.Take(state.channel_fd()));
    if (channel.ok()) {
      channel_ = *std::move(channel);
    } else {
      LogError(channel.status().message());
    }
  }
  life_.Restore(state.generation(), channel_ != nullptr, state.attached());
  if (channel_ == nullptr) return;
  for (const auto& uplink : state.uplink()) {
    uplinks_[uplink.instance()] = uplink.session_id();
  }
}

}  // namespace bulkhead::platform
