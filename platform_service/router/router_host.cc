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

const char* PhaseName(RouterHost::Phase phase) {
  switch (phase) {
    case RouterHost::Phase::kWaiting:
      return "waiting";
    case RouterHost::Phase::kGranting:
      return "granting";
    case RouterHost::Phase::kAttached:
      return "attached";
    case RouterHost::Phase::kRecovering:
      return "recovering";
    case RouterHost::Phase::kParked:
      return "parked";
  }
  return "";
}

RouterHost::RouterHost(EventLoop& loop, SupervisorLink& link,
                       std::string program, Hooks hooks)
    : loop_(loop),
      link_(link),
      program_(std::move(program)),
      hooks_(std::move(hooks)) {}

RouterHost::~RouterHost() {
  loop_.Cancel(uplink_timer_);
  loop_.Cancel(progress_timer_);
  loop_.Cancel(attach_timer_);
  loop_.Cancel(pulse_timer_);
  for (auto& [number, query] : queries_) loop_.Cancel(query.deadline);
}

bool RouterHost::Owns(const std::string& process) const {
  return defined_ && process == spec_.config.name;
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

void RouterHost::Record(absl::string_view kind, absl::string_view text) {
  link_.Record(spec_.config.name, begun_ ? begun_generation_ : generation_,
               kind, text);
}

void RouterHost::Breach(const std::string& reason) {
  LogWarning(absl::StrCat(spec_.config.name, ": breach: ", reason));
  link_.Breach(spec_.config.name, begun_generation_, reason);
}

// --- Towards what is wanted -----------------------------------------------

void RouterHost::Apply(const std::optional<policy::RouterSpec>& wanted) {
  wanted_ = wanted;
  if (ending_) return;
  if (!defined_) {
    if (wanted_) Define();
    return;
  }
  if (!wanted_ || wanted_->config.name != spec_.config.name) {
    CloseAll(absl::StrCat("the router ", spec_.config.name,
                          " is being removed"));
    return Leave("");
  }
  if (leaving_) return;  // Removed brings the rest about.
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
  phase_ = Phase::kWaiting;
  reason_.clear();
  defined_ = true;
  refused_ = false;
  link_.Define(MakeProcessSpec());
  CloseDisallowed();
  TryBegin();
}

// The process ends; sessions that are not closed live on (S6).
void RouterHost::Leave(const std::string& reason) {
  if (std::exchange(leaving_, true)) return;
  reason_ = reason;
  link_.Remove(spec_.config.name);
  // One that could not be defined cannot be waited for.
  if (refused_) OnRemoved();
}

void RouterHost::RemoveAll(std::function<void(bool was)> gone) {
  gone_ = std::move(gone);
  const bool was = defined_;
  Apply(std::nullopt);
  if (!was) std::exchange(gone_, nullptr)(false);
}

void RouterHost::OnRemoved() {
  // Nobody here asked for it: the supervisor ends the whole system.
  if (!leaving_) ending_ = true;
  HandleDeath(begun_ ? begun_generation_ : generation_ + 1, "removed");
  defined_ = false;
  leaving_ = false;
  generation_ = dead_generation_ = begun_generation_ = 0;
  process_phase_ = ProcessState::PHASE_UNSPECIFIED;
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
  process_phase_ = state.phase();
  pid_ = state.pid();
  const bool restoring = std::exchange(restoring_, false);
  const bool died_unseen = restoring && state.generation() > dead_generation_;
  switch (state.phase()) {
    case ProcessState::STARTING:
    case ProcessState::RUNNING:
      generation_ = state.generation();
      if (begun_ && begun_generation_ == state.generation()) {
        if (state.phase() == ProcessState::RUNNING) ExpectAttached();
        return SettleUplinks();
      }
      // Its channel was lost with the last platform service.
      if (!leaving_) link_.Restart(spec_.config.name);
      return;
    case ProcessState::WAITING:
    case ProcessState::BACKING_OFF:
      if (phase_ == Phase::kParked) phase_ = Phase::kWaiting;
      if (died_unseen) return HandleDeath(state.generation(), state.reason());
      if (restoring) {
        // The supervisor forgot the Begin of a platform service that died.
        begun_ = false;
        DropChannel();
      }
      return TryBegin();
    case ProcessState::PARKED:
      phase_ = Phase::kParked;  // No Begin.
      if (died_unseen) HandleDeath(state.generation(), state.reason());
      return EnterParked(state.reason());
    default:
      return;
  }
}

void RouterHost::OnDied(const supervisor::FromSupervisor::Died& died) {
  if (died.parked()) phase_ = Phase::kParked;  // No Begin.
  HandleDeath(died.generation(), died.cause());
  if (died.parked()) EnterParked(died.reason());
}

void RouterHost::OnRefused(const std::string& reason) {
  // What follows a refused definition is refused as well, and says less.
  if (phase_ == Phase::kParked) return;
  reason_ = reason;
  if (process_phase_ != ProcessState::PHASE_UNSPECIFIED) return;
  refused_ = true;
  EndGeneration();
  EnterParked(reason);
  if (leaving_) OnRemoved();
}

bool RouterHost::DefineAgain() {
  if (!refused_ || leaving_) return false;
  Define();
  return true;
}

void RouterHost::HandleDeath(uint32_t generation, const std::string& cause) {
  if (generation <= dead_generation_) return;
  dead_generation_ = generation;
  generation_ = generation;
  EndGeneration();
  reason_ = cause;
  if (phase_ != Phase::kParked) phase_ = Phase::kRecovering;
  for (auto& [id, session] : sessions_) {
    session->Recover();
    Record("epoch", absl::StrCat("session ", id, " at epoch ",
                                 session->epoch()));
  }
  TryBegin();
  Park();
}

// What belongs to the generation that is dead. Its uplinks' sessions end when
// its sockets close.
void RouterHost::EndGeneration() {
  begun_ = false;
  DropChannel();
  StopProgress();
  loop_.Cancel(std::exchange(attach_timer_, 0));
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

void RouterHost::ExpectAttached() {
  if (phase_ != Phase::kGranting || attach_timer_ != 0) return;
  attach_timer_ = loop_.After(std::chrono::seconds(kAttachSeconds), [this] {
    attach_timer_ = 0;
    if (phase_ != Phase::kGranting) return;
    Breach(absl::StrCat("said that it has started, and not Attached within ",
                        kAttachSeconds, " s"));
  });
}

void RouterHost::EnterParked(const std::string& reason) {
  phase_ = Phase::kParked;
  reason_ = reason;
  ShowAll();
  Park();
}

// --- The grant ------------------------------------------------------------

void RouterHost::TryBegin() {
  if (!defined_ || begun_ || leaving_ || refused_ ||
      phase_ == Phase::kParked) {
    return;
  }
  const absl::Status begun = Begin();
  if (!begun.ok()) Breach(absl::StrCat("begin: ", begun.message()));
}

absl::Status RouterHost::Begin() {
  auto pair = SeqpacketChannel::CreatePair();
  if (!pair.ok()) return pair.status();
  ASSIGN_OR_RETURN(
      channel_,
      RouterChannel::Create(
          loop_, pair->first.ReleaseFd(),
          {[this](const nic_router::api::FromRouter& message) {
             HandleMessage(message);
           },
           [this](const std::string& reason) { Breach(reason); }}));
  nic_router::api::RouterGrant grant;
  FdList fds;
  grant.set_platform_fd(fds.Own(pair->second.ReleaseFd()));
  *grant.mutable_config() = nic_router::ToMessage(spec_.config);
  if (state_.valid()) {
    grant.set_state_bytes(state_bytes_);
    grant.set_state_fd(fds.Add(state_));
  }
  begun_ = true;
  begun_generation_ = generation_ + 1;
  link_.Begin(spec_.config.name, grant.SerializeAsString(), fds.fds());
  phase_ = Phase::kGranting;
  Record("granted", absl::StrCat(sessions_.size(), " clients"));
  // Parked first: the successor of a platform service that dies here offers
  // them again.
  Park();
  for (auto& [id, session] : sessions_) OfferSession(*session);
  return absl::OkStatus();
}

// --- Parking --------------------------------------------------------------

void RouterHost::Park() {
  if (!defined_) return;
  parking::RouterState state;
  FdList fds;
  state.set_name(spec_.config.name);
  state.set_generation(begun_ ? begun_generation_ : generation_);
  state.set_begun(begun_);
  if (begun_) state.set_channel_fd(fds.Add(channel_->fd()));
  state.set_attached(phase_ == Phase::kAttached);
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
  defined_ = true;
  restoring_ = true;
  generation_ = state.generation();
  dead_generation_ = state.generation();
  state_bytes_ = state.state_bytes();
  if (state_bytes_ > 0) state_ = entry.Take(state.state_fd());
  if (!state.begun()) return;
  auto channel = RouterChannel::Create(
      loop_, entry.Take(state.channel_fd()),
      {[this](const nic_router::api::FromRouter& message) {
         HandleMessage(message);
       },
       [this](const std::string& reason) { Breach(reason); }});
  if (!channel.ok()) {
    LogError(channel.status().message());
    return;
  }
  channel_ = *std::move(channel);
  begun_ = true;
  begun_generation_ = state.generation();
  dead_generation_ = state.generation() - 1;
  phase_ = state.attached() ? Phase::kAttached : Phase::kGranting;
  for (const auto& uplink : state.uplink()) {
    uplinks_[uplink.instance()] = uplink.session_id();
  }
}

}  // namespace bulkhead::platform
