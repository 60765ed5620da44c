// Start, take-over and the end. What operators ask is in platform_api.cc, what
// clients ask in platform_sessions.cc.
#include "platform_service/platform.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/errno_status.h"
#include "base/log.h"
#include "platform_service/api/prepare_scenario.h"
#include "platform_service/parking/parked_text.h"
#include "platform_service/parking/state.pb.h"
#include "platform_service/policy/expected_devices.h"

namespace bulkhead::platform {
namespace {

constexpr char kOwnName[] = "platform_service";
constexpr char kStateKey[] = "platform";

// The answer to Down leaves before the end begins.
constexpr auto kShutDownDelay = std::chrono::milliseconds(20);

absl::Status MakeDirectory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) {
    return absl::OkStatus();
  }
  return ErrnoStatus(absl::StrCat("make the directory ", path));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Platform>> Platform::Create(
    EventLoop& loop, PlatformOptions options, SeqpacketChannel channel) {
  std::unique_ptr<Platform> platform(new Platform(loop, std::move(options)));
  RETURN_IF_ERROR(platform->MakeRunDirectory());
  ASSIGN_OR_RETURN(platform->mailbox_, Mailbox::Create(loop));
  ASSIGN_OR_RETURN(platform->link_,
                   SupervisorLink::Create(loop, std::move(channel),
                                          platform->LinkHandlers()));
  ASSIGN_OR_RETURN(
      platform->fleet_,
      Fleet::Create(loop, *platform->link_,
                    {platform->options_.run_dir, platform->options_.bin_dir}));
  platform->router_ = std::make_unique<RouterHost>(
      loop, *platform->link_,
      platform->options_.bin_dir + "/nic_router/nic_router",
      platform->RouterHooks());
  return platform;
}

Platform::~Platform() = default;

absl::Status Platform::MakeRunDirectory() {
  RETURN_IF_ERROR(MakeDirectory(options_.run_dir));
  return MakeDirectory(options_.run_dir + "/models");
}

SupervisorLink::Handlers Platform::LinkHandlers() {
  SupervisorLink::Handlers handlers;
  handlers.died = [this](const supervisor::FromSupervisor::Died& died) {
    if (router_->Owns(died.name())) return router_->OnDied(died);
    fleet_->OnDied(died);
    // An uplink may be there again.
    router_->SettleUplinks();
  };
  handlers.state = [this](const supervisor::ProcessState& state) {
    HandleState(state);
  };
  handlers.removed = [this](const std::string& name) { HandleRemoved(name); };
  handlers.event = [this](const supervisor::Event& event) { feed_.Add(event); };
  handlers.parked = [this](std::string key, std::string state,
                           std::vector<UniqueFd> fds) {
    parked_.insert_or_assign(std::move(key),
                             ParkedEntry(std::move(state), std::move(fds)));
  };
  handlers.restored = [this](uint32_t generation) {
    HandleRestored(generation);
  };
  handlers.refused = [this](const std::string& name,
                            const std::string& reason) {
    link_->Record(name.empty() ? kOwnName : name, 0, "refused", reason);
    if (router_->Owns(name)) router_->OnRefused(reason);
    fleet_->OnRefused(name, reason, processes_.count(name) != 0);
  };
  handlers.lost = [this] {
    // Every child ends with the supervisor (S5); so do we, at once.
    LogError("the supervisor is gone: this is the end");
    RemoveFiles();
    ::_exit(1);
  };
  return handlers;
}

// --- Start ----------------------------------------------------------------

void Platform::HandleRestored(uint32_t generation) {
  generation_ = generation;
  auto state = parked_.extract(kStateKey);
  const absl::Status status =
      state.empty() ? StartFresh() : TakeOver(std::move(state.mapped()));
  restored_ = true;
  if (!status.ok()) {
    LogError(status.message());
    std::exit(1);
  }
  Park();
  TellStates();
  // What nobody took back is of no more use.
  for (const auto& [key, entry] : parked_) link_->Unpark(key);
  parked_.clear();
}

absl::Status Platform::StartFresh() {
  up_since_ns_ = MonotonicNs();
  scenario_path_ = options_.scenario;
  fleet_->GiveBackStale();
  ASSIGN_OR_RETURN(UniqueFd session_socket,
                   ListenSeqpacket(options_.run_dir + "/session.sock", 0600));
  ASSIGN_OR_RETURN(UniqueFd platform_socket,
                   ListenStream(options_.run_dir + "/platform.sock"));
  const auto scenario =
      PrepareScenarioFile(options_.scenario, options_.bin_dir);
  absl::Status applied = scenario.status();
  if (scenario.ok()) applied = Apply(*scenario, false).status();
  if (!applied.ok()) {
    // Without NICs, but reachable: `bulkhead apply` brings a better scenario.
    LogError(applied.message());
    link_->Record(kOwnName, 0, "refused", applied.message());
    warnings_.push_back(absl::StrCat("scenario ", options_.scenario,
                                     " was not applied: ", applied.message()));
  }
  return Serve(std::move(session_socket), std::move(platform_socket));
}

absl::Status Platform::Serve(UniqueFd session_socket,
                             UniqueFd platform_socket) {
  ASSIGN_OR_RETURN(session_server_,
                   SessionServer::Create(
                       loop_, std::move(session_socket),
                       [this](OpenCall call) { HandleOpen(std::move(call)); }));
  grpc_server_ = GrpcServer::Start(std::move(platform_socket),
                                   {options_.bin_dir}, *this, *mailbox_, feed_);
  return absl::OkStatus();
}

// --- Take-over from a platform service that died --------------------------

absl::Status Platform::TakeOver(ParkedEntry entry) {
  parking::PlatformState state;
  if (!state.ParseFromString(entry.state())) {
    return absl::DataLossError(
        "take over from the last platform service: its state is garbled; run "
        "`bulkhead down`, then `bulkhead up`");
  }
  up_since_ns_ = state.up_since_ns();
  next_session_id_ = state.next_session_id();
  scenario_path_ = state.scenario_path();
  if (state.has_scenario()) {
    scenario_text_ = entry.Take(state.scenario_text_fd());
    ASSIGN_OR_RETURN(const std::string text, LoadText(scenario_text_.get()));
    ASSIGN_OR_RETURN(PreparedScenario scenario,
                     PrepareScenario(text, scenario_path_, options_.bin_dir));
    std::map<std::string, std::string> addresses;
    for (const auto& name : state.name()) {
      addresses[name.device_key()] = name.address();
    }
    policy::KeepAddresses(addresses, &scenario.devices);
    // Was judged when it was taken; a takeover changes nothing (S5).
    for (pci::PciDeviceInfo& device : scenario.devices) {
      if (parked_.count("interface/" + device.address) != 0) {
        device.used_by.clear();
      }
    }
    policy::Plan plan = fleet_->MakePlan(scenario.scenario, scenario.devices);
    RestorePlanNames(entry, &plan);
    fleet_->Restore(std::move(plan), &parked_);
    router_->Restore(fleet_->plan().router, &parked_);
    RestoreSessions();
  } else {
    warnings_.push_back(absl::StrCat("scenario ", scenario_path_,
                                     " was not applied; use `bulkhead apply`"));
  }
  link_->Record(kOwnName, generation_, "took_over",
                absl::StrCat(fleet_->instances().size(), " instances"));
  return Serve(entry.Take(state.session_socket_fd()),
               entry.Take(state.platform_socket_fd()));
}

// Instances keep the names that they got over all the scenarios before.
void Platform::RestorePlanNames(const ParkedEntry& entry, policy::Plan* plan) {
  parking::PlatformState state;
  state.ParseFromString(entry.state());
  std::map<std::string, std::string> names;
  for (const auto& name : state.name()) {
    if (name.instance().empty()) continue;
    names[name.device_key()] = name.instance();
  }
  for (policy::PlanEntry& planned : plan->entries) {
    const auto it = names.find(policy::DeviceKey(planned.device));
    if (it != names.end()) planned.instance = it->second;
  }
}

void Platform::RestoreSessions() {
  for (auto it = parked_.lower_bound("session/");
       it != parked_.end() && it->first.rfind("session/", 0) == 0;) {
    auto session = Session::Restore(loop_, *link_, std::move(it->second));
    it = parked_.erase(it);
    if (!session.ok()) {
      LogError(session.status().message());
      continue;
    }
    const SessionIdentity& identity = (*session)->identity();
    auto charge =
        ledger_.Charge(identity.label, identity.geometry.TotalBytes(), 0);
    if (charge.ok()) (*session)->set_charge(*std::move(charge));
    if (router_->Owns(identity.instance)) {
      router_->AdoptSession(*std::move(session));
      continue;
    }
    Instance* instance = fleet_->FindInstance(identity.instance);
    if (instance == nullptr) {
      (*session)->Close("its instance is gone");
      continue;
    }
    instance->AdoptSession(*std::move(session));
  }
}

void Platform::TellStates() {
  // By copy: what is told may change the map.
  const auto states = processes_;
  for (const auto& [name, state] : states) {
    if (router_->Owns(name)) {
      router_->OnState(state);
    } else if (fleet_->Owns(name)) {
      fleet_->OnState(state);
    } else {
      // Of a NIC that was on its way out.
      link_->Remove(name);
    }
  }
  fleet_->Settle();
}

void Platform::Park() {
  parking::PlatformState state;
  FdList fds;
  state.set_scenario_path(scenario_path_);
  state.set_next_session_id(next_session_id_);
  state.set_up_since_ns(up_since_ns_);
  if (session_server_ == nullptr || grpc_server_ == nullptr) return;
  if (scenario_text_.valid()) {
    state.set_has_scenario(true);
    state.set_scenario_text_fd(fds.Add(scenario_text_));
  }
  state.set_session_socket_fd(fds.Add(session_server_->listener()));
  state.set_platform_socket_fd(fds.Add(grpc_server_->listener()));
  for (const policy::PlanEntry& entry : fleet_->plan().entries) {
    if (entry.instance.empty() &&
        entry.device.source != pci::Source::kSimulated) {
      continue;
    }
    auto* name = state.add_name();
    name->set_device_key(policy::DeviceKey(entry.device));
    name->set_instance(entry.instance);
    name->set_address(entry.device.address);
  }
  link_->Park(kStateKey, state.SerializeAsString(), fds.fds());
}

// --- What the supervisor says ---------------------------------------------

void Platform::HandleState(const supervisor::ProcessState& state) {
  processes_[state.name()] = state;
  if (!restored_) return;
  if (router_->Owns(state.name())) return router_->OnState(state);
  fleet_->OnState(state);
  router_->SettleUplinks();
}

void Platform::HandleRemoved(const std::string& name) {
  processes_.erase(name);
  if (router_->Owns(name)) return router_->OnRemoved();
  fleet_->OnRemoved(name);
}

// --- The end --------------------------------------------------------------

void Platform::ShutDown() {
  loop_.After(kShutDownDelay, [this] { link_->ShutDown(); });
}

void Platform::RemoveFiles() {
  std::error_code ignored;
  for (const char* name :
       {"session.sock", "platform.sock", "models", "bus", "guard.lock"}) {
    std::filesystem::remove_all(absl::StrCat(options_.run_dir, "/", name),
                                ignored);
  }
}

}  // namespace bulkhead::platform
