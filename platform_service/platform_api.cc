// What operators ask, see api/platform.proto.
#include <unistd.h>

#include <csignal>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/errno_status.h"
#include "platform_service/describe.h"
#include "platform_service/parking/parked_text.h"
#include "platform_service/platform.h"
#include "platform_service/policy/plan_diff.h"

namespace bulkhead::platform {
namespace {

constexpr char kOwnName[] = "platform_service";
constexpr char kSupervisorName[] = "supervisor";

// After the answer has left.
constexpr auto kSignalDelay = std::chrono::milliseconds(20);

}  // namespace

std::vector<v1::Device> Platform::ListDevices() {
  std::vector<v1::Device> devices;
  for (const policy::PlanEntry& entry : fleet_->plan().entries) {
    devices.push_back(
        DescribeDevice(entry, fleet_->FindInstance(entry.instance)));
  }
  return devices;
}

std::vector<v1::Instance> Platform::ListInstances() {
  std::vector<v1::Instance> instances;
  for (const auto& [name, instance] : fleet_->instances()) {
    const auto process = processes_.find(name);
    const auto port = fleet_->ports().find(instance->spec().device.name);
    instances.push_back(DescribeInstance(
        *instance, process == processes_.end() ? nullptr : &process->second,
        port == fleet_->ports().end() ? nullptr : port->second.get()));
  }
  return instances;
}

std::vector<v1::Session> Platform::ListSessions() {
  std::vector<v1::Session> sessions;
  for (const auto& [name, instance] : fleet_->instances()) {
    if (instance->session() != nullptr) {
      sessions.push_back(DescribeSession(*instance->session()));
    }
  }
  for (const auto& [id, session] : router_->sessions()) {
    sessions.push_back(DescribeSession(*session));
  }
  return sessions;
}

std::vector<v1::Process> Platform::ListProcesses() const {
  std::vector<v1::Process> processes;
  v1::Process& supervisor = processes.emplace_back();
  supervisor.set_name(kSupervisorName);
  supervisor.set_kind("supervisor");
  supervisor.set_pid(::getppid());
  supervisor.set_phase("running");
  v1::Process& own = processes.emplace_back();
  own.set_name(kOwnName);
  own.set_kind("platform");
  own.set_pid(::getpid());
  own.set_phase("running");
  own.set_generation(generation_);
  own.set_restarts(generation_ > 0 ? generation_ - 1 : 0);
  for (const auto& [name, state] : processes_) {
    const bool driver = fleet_->instances().count(name) != 0;
    processes.push_back(DescribeProcess(state, router_->Owns(name) ? "router"
                                               : driver            ? "driver"
                                                                   : "model"));
    const auto port = fleet_->ports().find(name);
    if (port == fleet_->ports().end()) continue;
    for (v1::Counter& counter : DescribeCounters(port->second->counters())) {
      *processes.back().add_counter() = std::move(counter);
    }
  }
  return processes;
}

v1::Status Platform::GetStatus() {
  v1::Status status;
  status.set_scenario(scenario_path_);
  status.set_platform_generation(generation_);
  status.set_up_since_ns(up_since_ns_);
  for (v1::Instance& instance : ListInstances()) {
    *status.add_instance() = std::move(instance);
  }
  for (v1::Session& session : ListSessions()) {
    *status.add_session() = std::move(session);
  }
  for (v1::Process& process : ListProcesses()) {
    *status.add_process() = std::move(process);
  }
  if (router_->defined()) {
    const auto process = processes_.find(router_->spec().config.name);
    *status.mutable_router() = DescribeRouter(
        *router_, process == processes_.end() ? nullptr : &process->second);
  }
  for (const std::string& failure : fleet_->Failures()) {
    status.add_failure(failure);
  }
  for (const std::string& warning : warnings_) status.add_warning(warning);
  for (const auto& [name, port] : fleet_->ports()) {
    if (port->device() == nullptr && port->failure().empty()) {
      status.add_warning(absl::StrCat("NIC ", name, ": ", port->down_reason()));
    }
  }
  for (const auto& [address, card] : fleet_->cards()) {
    if (card->device() == nullptr) {
      status.add_warning(
          absl::StrCat("NIC ", address, ": ", card->down_reason()));
    }
  }
  for (const auto& [address, interface] : fleet_->interfaces()) {
    if (interface->device() == nullptr) {
      status.add_warning(
          absl::StrCat("NIC ", address, ": ", interface->down_reason()));
    }
  }
  for (const policy::PlanEntry& entry : fleet_->plan().entries) {
    if (entry.refused.empty()) continue;
    status.add_warning(
        absl::StrCat("device ", entry.device.address, ": ", entry.refused));
  }
  return status;
}

std::string Platform::ProcessNames() const {
  std::vector<std::string> names = {kOwnName, kSupervisorName};
  for (const auto& [name, state] : processes_) names.push_back(name);
  return absl::StrJoin(names, ", ");
}

absl::StatusOr<int> Platform::Kill(const std::string& name, int signal) {
  if (signal == 0) signal = SIGKILL;
  if (signal < 0 || signal > SIGRTMAX) {
    return absl::InvalidArgumentError(
        absl::StrCat("kill ", name, ": there is no signal ", signal));
  }
  if (name == kOwnName || name == kSupervisorName) {
    const int pid = name == kOwnName ? ::getpid() : ::getppid();
    loop_.After(kSignalDelay, [pid, signal] { ::kill(pid, signal); });
    return pid;
  }
  const auto it = processes_.find(name);
  if (it == processes_.end()) {
    return absl::NotFoundError(absl::StrCat(
        "kill ", name, ": no such process; there is ", ProcessNames()));
  }
  if (it->second.pid() == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("kill ", name, ": it is ", PhaseWord(it->second.phase()),
                     ", there is no process to kill"));
  }
  link_->Signal(name, signal);
  return it->second.pid();
}

absl::Status Platform::Restart(const std::string& name) {
  if (name == kOwnName) {
    return Kill(name, SIGKILL).status();
  }
  if (name == kSupervisorName) {
    return absl::InvalidArgumentError(
        "restart supervisor: every process ends with it; use `bulkhead down`, "
        "then `bulkhead up FILE`");
  }
  if (router_->Owns(name) && router_->DefineAgain()) return absl::OkStatus();
  if (fleet_->DefineAgain(name)) return absl::OkStatus();
  if (processes_.count(name) == 0) {
    return absl::NotFoundError(absl::StrCat(
        "restart ", name, ": no such process; there is ", ProcessNames()));
  }
  link_->Restart(name);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> Platform::Apply(
    const PreparedScenario& scenario, bool dry_run) {
  policy::Plan wanted = fleet_->MakePlan(scenario.scenario, scenario.devices);
  std::vector<std::string> actions;
  for (const policy::Action& action :
       policy::DiffPlans(fleet_->plan(), wanted)) {
    actions.push_back(policy::ToText(action));
  }
  if (dry_run) return actions;
  ASSIGN_OR_RETURN(UniqueFd text, StoreText(scenario.text));
  RETURN_IF_ERROR(fleet_->Apply(std::move(wanted)));
  router_->Apply(fleet_->plan().router);
  // Some may be in another domain now; who sees them already takes no notice.
  ForEachSession([this](const Session& session) {
    observers_.Announce(session, PlaceOf(session));
  });
  scenario_path_ = scenario.scenario.path;
  scenario_text_ = std::move(text);
  warnings_.clear();
  for (const std::string& action : actions) {
    link_->Record(kOwnName, generation_, "apply", action);
  }
  Park();
  return actions;
}

void Platform::Down(std::function<void(uint32_t stopped)> done) {
  link_->Record(kOwnName, generation_, "down", "on request");
  // First, so that its uplinks' sessions end in order.
  router_->RemoveAll([this, done = std::move(done)](bool was) {
    fleet_->RemoveAll(
        [done, was](uint32_t stopped) { done(stopped + (was ? 1 : 0)); });
  });
}

void Platform::QueryRouter(
    const std::string& what, const std::string& question,
    std::function<void(absl::StatusOr<v1::RouterTable>)> done) {
  if (!router_->defined()) {
    return done(absl::NotFoundError(
        "ask the router: the scenario has none; add a `router` section (see "
        "docs/router.md) and `bulkhead apply` it"));
  }
  router_->Query(what, question,
                 [done = std::move(done)](absl::StatusOr<RouterAnswer> answer) {
                   if (!answer.ok()) return done(answer.status());
                   done(DescribeTable(*answer));
                 });
}

}  // namespace bulkhead::platform
