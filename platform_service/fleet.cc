#include "platform_service/fleet.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/log.h"
#include "platform_service/pci/enumerate.h"
#include "platform_service/policy/expected_devices.h"

namespace bulkhead::platform {
namespace {

// The part of a rule that is carried out by a new process. The rest is told to
// the running one.
bool SameProcess(const InstanceSpec& a, const InstanceSpec& b) {
  policy::DriverRule rule = a.rule;
  rule.config = b.rule.config;
  rule.match = b.rule.match;
  rule.instance = b.rule.instance;
  rule.take = b.rule.take;
  return a.program == b.program && rule == b.rule;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Fleet>> Fleet::Create(EventLoop& loop,
                                                     SupervisorLink& link,
                                                     Places places) {
  ASSIGN_OR_RETURN(pci::SimulatedBus bus,
                   pci::SimulatedBus::Create(places.run_dir + "/bus"));
  return std::unique_ptr<Fleet>(
      new Fleet(loop, link, std::move(places), std::move(bus)));
}

Fleet::~Fleet() { loop_.Cancel(enumerate_timer_); }

std::string Fleet::ProgramOf(const std::string& driver) const {
  return absl::StrCat(places_.bin_dir, "/nic_driver/", driver, "/", driver);
}

ModelPlace Fleet::PlaceOfModel() const {
  return {places_.run_dir, places_.bin_dir};
}

policy::Plan Fleet::MakePlan(const policy::Scenario& scenario,
                             std::vector<pci::PciDeviceInfo> devices) const {
  std::map<std::string, std::string> addresses = addresses_;
  for (const policy::PlanEntry& entry : plan_.entries) {
    if (entry.device.source == pci::Source::kSimulated) {
      addresses[entry.device.name] = entry.device.address;
    }
  }
  policy::KeepAddresses(addresses, &devices);
  policy::Plan plan = policy::MakePlan(
      scenario, devices, policy::ListDrivers(places_.bin_dir), &plan_);
  for (policy::PlanEntry& entry : plan.entries) {
    if (!entry.driven()) continue;
    if (entry.device.source == pci::Source::kRecorded) {
      entry.refused =
          "a recorded device can be looked at, not driven; it is not here";
    }
  }
  return plan;
}

absl::Status Fleet::Apply(policy::Plan plan) {
  RETURN_IF_ERROR(wires_.Apply(plan.simulated));
  plan_ = std::move(plan);
  Settle();
  // The new plan knows devices as they were expected, not as they are.
  for (const auto& [name, port] : ports_) {
    if (port->device() != nullptr) OnPortUp(name);
  }
  return absl::OkStatus();
}

void Fleet::RemoveAll(std::function<void(uint32_t stopped)> done) {
  stopped_ = 0;
  emptied_ = std::move(done);
  plan_ = {};
  Settle();
  CheckEmpty();
}

void Fleet::CheckEmpty() {
  if (!emptied_ || !instances_.empty() || !ports_.empty() || !cards_.empty() ||
      !interfaces_.empty()) {
    return;
  }
  // Switches go last, since they are nobody's device.
  for (const std::string& name : wires_.ProcessNames()) leaving_.insert(name);
  wires_.Apply({}).IgnoreError();
  if (!leaving_.empty()) return;
  loop_.Post([done = std::exchange(emptied_, nullptr), count = stopped_] {
    done(count);
  });
}

// --- Towards the wanted plan ----------------------------------------------

void Fleet::Settle() {
  if (ending_) return;
  RemoveUnwanted();
  RemoveUnwantedCards();
  RemoveUnwantedInterfaces();
  StartPorts();
  StartCards();
  StartInterfaces();
  StartInstances();
}

void Fleet::RemoveUnwanted() {
  for (const auto& [name, instance] : instances_) {
    if (leaving_.count(name) != 0) continue;
    const policy::PlanEntry* entry = plan_.Find(name);
    if (entry != nullptr && policy::DeviceKey(entry->device) ==
                                policy::DeviceKey(instance->spec().device)) {
      continue;
    }
    leaving_.insert(name);
    instance->Remove();
  }
  std::map<std::string, const policy::SimulatedNic*> wanted;
  for (const policy::SimulatedNic& nic : plan_.simulated) {
    wanted[nic.name] = &nic;
  }
  for (const auto& [name, port] : ports_) {
    if (leaving_.count(name) != 0) continue;
    const auto it = wanted.find(name);
    if (it != wanted.end()) {
      const int wire = wires_.EndOf(name);
      if (!(*it->second == port->nic()) || wire != port->wire()) {
        port->Redefine(*it->second, wire);
      }
      continue;
    }
    // Its instance goes first, so that the driver stops its device in order.
    if (InstanceOn(name) != nullptr) continue;
    leaving_.insert(name);
    port->Remove();
  }
}

void Fleet::StartPorts() {
  refused_ports_.clear();
  for (const policy::SimulatedNic& nic : plan_.simulated) {
    if (ports_.count(nic.name) != 0) continue;
    absl::StatusOr<std::unique_ptr<SimPort>> port =
        SimPort::Create(loop_, link_, nic, wires_.EndOf(nic.name),
                        PlaceOfModel(), HandlersFor(nic.name));
    if (!port.ok()) {
      LogError(absl::StrCat("start ", nic.name, ": ", port.status().message()));
      link_.Record(nic.name, 0, "refused", port.status().message());
      refused_ports_[nic.name] = std::string(port.status().message());
      continue;
    }
    SimPort* raw = port->get();
    ports_[nic.name] = *std::move(port);
    raw->Launch();
  }
}

void Fleet::StartInstances() {
  for (policy::PlanEntry& entry : plan_.entries) {
    if (!entry.driven()) continue;
    if (const auto it = instances_.find(entry.instance);
        it != instances_.end()) {
      if (leaving_.count(entry.instance) == 0) {
        UpdateInstance(*it->second, entry);
      }
      continue;
    }
    Nic* nic = NicOf(entry);
    // S1: the device's last instance must have gone.
    if (nic == nullptr ||
        InstanceOn(policy::DeviceKey(entry.device)) != nullptr) {
      continue;
    }
    absl::StatusOr<std::unique_ptr<Instance>> instance =
        Instance::Create(loop_, link_, SpecOf(entry), *nic);
    if (!instance.ok()) {
      link_.Record(entry.instance, 0, "refused", instance.status().message());
      continue;
    }
    Instance* raw = instance->get();
    instances_[entry.instance] = *std::move(instance);
    raw->Define();
    if (nic->device() == nullptr) continue;
    if (entry.device.source == pci::Source::kSysfs ||
        entry.device.source == pci::Source::kLinux) {
      raw->OnDeviceUp(entry.device);
    } else {
      fresh_ports_.insert(entry.device.name);
      EnumerateSoon();
    }
  }
}

void Fleet::UpdateInstance(Instance& instance, const policy::PlanEntry& entry) {
  InstanceSpec spec = SpecOf(entry);
  if (!SameProcess(instance.spec(), spec)) {
    SetUseOf(entry);
    instance.Redefine(std::move(spec));
    return;
  }
  if (!(instance.spec().rule == spec.rule)) instance.Reconfigure(spec.rule);
}

InstanceSpec Fleet::SpecOf(const policy::PlanEntry& entry) const {
  return {entry.instance, ProgramOf(entry.rule->driver), *entry.rule,
          entry.device};
}

SimPort* Fleet::PortOf(const policy::PlanEntry& entry) const {
  const auto it = ports_.find(entry.device.name);
  return it == ports_.end() ? nullptr : it->second.get();
}

Nic* Fleet::NicOf(const policy::PlanEntry& entry) const {
  if (entry.device.source == pci::Source::kLinux) {
    const auto interface = interfaces_.find(entry.device.address);
    return interface == interfaces_.end() ? nullptr : interface->second.get();
  }
  if (entry.device.source != pci::Source::kSysfs) return PortOf(entry);
  const auto it = cards_.find(entry.device.address);
  return it == cards_.end() || leaving_cards_.count(it->first) != 0
             ? nullptr
             : it->second.get();
}

Instance* Fleet::InstanceOn(const std::string& device_key) const {
  for (const auto& [name, instance] : instances_) {
    if (policy::DeviceKey(instance->spec().device) == device_key) {
      return instance.get();
    }
  }
  return nullptr;
}

Instance* Fleet::FindInstance(const std::string& name) const {
  const auto it = instances_.find(name);
  if (it == instances_.end() || leaving_.count(name) != 0) return nullptr;
  return it->second.get();
}

// --- Devices --------------------------------------------------------------

SimPort::Handlers Fleet::HandlersFor(const std::string& port) {
  return {
      [this, port] { OnPortUp(port); },
      [this, port](const std::string& reason) { OnPortDown(port, reason); }};
}

// Ports that come up together are enumerated together.
void Fleet::OnPortUp(const std::string& port) {
  fresh_ports_.insert(port);
  EnumerateSoon();
}

void Fleet::OnPortDown(const std::string& port, const std::string& reason) {
  fresh_ports_.erase(port);
  if (Instance* instance = InstanceOn(port)) instance->OnDeviceDown(reason);
}

void Fleet::EnumerateSoon() {
  if (enumerate_timer_ != 0) return;
  enumerate_timer_ = loop_.After(std::chrono::nanoseconds(0), [this] {
    enumerate_timer_ = 0;
    Enumerate();
  });
}

// What libpci says of the simulated bus is what policy matches on, as on a real
// one.
void Fleet::Enumerate() {
  std::map<std::string, policy::PlanEntry*> entries;
  for (policy::PlanEntry& entry : plan_.entries) {
    if (!entry.device.name.empty()) entries[entry.device.name] = &entry;
  }
  const std::set<std::string> fresh = std::exchange(fresh_ports_, {});
  std::set<std::string> addresses;
  for (const std::string& name : fresh) {
    const auto port = ports_.find(name);
    const auto entry = entries.find(name);
    if (port == ports_.end() || entry == entries.end()) continue;
    std::string& address = addresses_[name];
    if (address != entry->second->device.address) {
      if (!address.empty()) bus_.Remove(address).IgnoreError();
      address = entry->second->device.address;
    }
    const absl::Status added = bus_.Add(
        address, name, port->second->config_space(), port->second->bar_bytes());
    if (!added.ok()) port->second->Fail(added);
    addresses.insert(address);
  }
  const auto devices = bus_.Enumerate(addresses);
  if (!devices.ok()) {
    LogError(absl::StrCat("enumerate the simulated bus: ",
                          devices.status().message()));
    return;
  }
  for (const pci::PciDeviceInfo& device : *devices) {
    const auto entry = entries.find(device.name);
    if (entry != entries.end() && fresh.count(device.name) != 0) {
      MeetDevice(*entry->second, device);
    }
  }
}

void Fleet::MeetDevice(policy::PlanEntry& entry,
                       const pci::PciDeviceInfo& device) {
  entry.device = device;
  SimPort* port = PortOf(entry);
  Instance* instance = FindInstance(entry.instance);
  if (port == nullptr || port->device() == nullptr || instance == nullptr) {
    return;
  }
  if (!policy::Matches(entry.rule->match, device)) {
    // Attack 38: a device that became another one. The plan stands; the device
    // is not given to a driver that was not chosen for it.
    instance->set_reason(absl::StrCat(
        "the device at ", device.address,
        " does not match the rule of this instance any more; see `bulkhead "
        "devices`"));
    link_.Record(instance->spec().name, 0, "refused", instance->reason());
    return;
  }
  instance->OnDeviceUp(device);
}

// --- What the supervisor says ---------------------------------------------

bool Fleet::Owns(const std::string& process) const {
  return instances_.count(process) != 0 || ports_.count(process) != 0 ||
         wires_.Owns(process);
}

void Fleet::OnState(const supervisor::ProcessState& state) {
  if (const auto it = instances_.find(state.name()); it != instances_.end()) {
    return it->second->OnState(state);
  }
  if (const auto it = ports_.find(state.name()); it != ports_.end()) {
    it->second->OnState(state);
  }
}

void Fleet::OnDied(const supervisor::FromSupervisor::Died& died) {
  if (const auto it = instances_.find(died.name()); it != instances_.end()) {
    return it->second->OnDied(died);
  }
  if (const auto it = ports_.find(died.name()); it != ports_.end()) {
    return it->second->OnDied(died);
  }
  wires_.OnDied(died);
}

bool Fleet::IsRedefining(const std::string& name) const {
  const auto instance = instances_.find(name);
  if (instance != instances_.end()) return instance->second->redefining();
  const auto port = ports_.find(name);
  return port != ports_.end() && port->second->redefining();
}

void Fleet::OnRemoved(const std::string& name) {
  if (leaving_.erase(name) != 0) {
    ++stopped_;
  } else if (!IsRedefining(name)) {
    // Nobody here asked for it: the supervisor ends the whole system.
    ending_ = true;
  }
  if (const auto it = instances_.find(name); it != instances_.end()) {
    if (it->second->OnRemoved()) instances_.erase(it);
  } else if (const auto port = ports_.find(name); port != ports_.end()) {
    if (port->second->OnRemoved()) {
      ports_.erase(port);
      bus_.Remove(addresses_[name]).IgnoreError();
      addresses_.erase(name);
    }
  }
  Settle();
  CheckEmpty();
}

void Fleet::OnRefused(const std::string& name, const std::string& reason,
                      bool defined) {
  LogWarning(absl::StrCat("the supervisor refused: ", reason));
  if (Instance* instance = FindInstance(name)) instance->OnRefused(reason);
  if (const auto port = ports_.find(name); port != ports_.end() && !defined) {
    port->second->OnUndefined(reason);
  }
  if (!defined) wires_.OnUndefined(name, reason);
  // A process that could not be defined cannot be waited for.
  if (leaving_.count(name) != 0) OnRemoved(name);
}

bool Fleet::DefineAgain(const std::string& name) {
  Instance* instance = FindInstance(name);
  if (instance != nullptr) return instance->DefineAgain();
  const auto port = ports_.find(name);
  if (port != ports_.end() && leaving_.count(name) == 0) {
    return port->second->DefineAgain();
  }
  return wires_.DefineAgain(name);
}

std::vector<std::string> Fleet::Failures() const {
  std::vector<std::string> failures;
  for (const auto& [name, port] : ports_) {
    if (port->failure().empty()) continue;
    failures.push_back(absl::StrCat("NIC ", name, ": ", port->failure()));
  }
  for (const auto& [name, reason] : refused_ports_) {
    failures.push_back(absl::StrCat("NIC ", name, ": ", reason));
  }
  for (const auto& [name, reason] : wires_.undefined()) {
    failures.push_back(absl::StrCat(name, ": ", reason));
  }
  return failures;
}

// --- Restart of the platform service --------------------------------------

void Fleet::Restore(policy::Plan plan, ParkedEntries* entries) {
  plan_ = std::move(plan);
  const auto take = [entries](const std::string& key) {
    std::optional<ParkedEntry> entry;
    if (auto node = entries->extract(key); !node.empty()) {
      entry = std::move(node.mapped());
    }
    return entry;
  };
  for (auto it = entries->lower_bound("wire/");
       it != entries->end() && it->first.rfind("wire/", 0) == 0;) {
    const absl::Status status =
        wires_.Restore(it->first.substr(5), std::move(it->second));
    if (!status.ok()) LogError(status.message());
    it = entries->erase(it);
  }
  for (const policy::SimulatedNic& nic : plan_.simulated) {
    std::optional<ParkedEntry> entry = take("port/" + nic.name);
    if (!entry.has_value()) continue;
    auto port = SimPort::Restore(loop_, link_, nic, wires_.EndOf(nic.name),
                                 PlaceOfModel(), HandlersFor(nic.name),
                                 *std::move(entry));
    if (!port.ok()) {
      LogError(absl::StrCat(nic.name, ": ", port.status().message()));
      continue;
    }
    ports_[nic.name] = *std::move(port);
  }
  const policy::DriverCatalog drivers = policy::ListDrivers(places_.bin_dir);
  for (const policy::PlanEntry& planned : plan_.entries) {
    const std::string& address = planned.device.address;
    if (!planned.driven() || planned.device.source != pci::Source::kSysfs) {
      continue;
    }
    std::optional<ParkedEntry> entry = take("vfio/" + address);
    // One that was down has no entry, but a record.
    if (!entry.has_value() && !taker_.IsTaken(address)) continue;
    std::unique_ptr<VfioNic>& card = cards_[address] =
        MakeCard(planned, drivers);
    if (const absl::Status status = card->Restore(std::move(entry));
        !status.ok()) {
      LogError(absl::StrCat(address, ": ", status.message()));
    }
    OpenKernelLog();
  }
  RestoreInterfaces(entries);
  for (policy::PlanEntry& planned : plan_.entries) {
    Nic* nic = NicOf(planned);
    if (!planned.driven() || nic == nullptr) continue;
    std::optional<ParkedEntry> entry = take("instance/" + planned.instance);
    if (!entry.has_value()) continue;
    auto instance = Instance::Restore(loop_, link_, SpecOf(planned), *nic,
                                      *std::move(entry));
    if (!instance.ok()) {
      LogError(
          absl::StrCat(planned.instance, ": ", instance.status().message()));
      continue;
    }
    instances_[planned.instance] = *std::move(instance);
    if (nic->device() != nullptr && !planned.device.name.empty()) {
      fresh_ports_.insert(planned.device.name);
    }
  }
  if (!fresh_ports_.empty()) EnumerateSoon();
}

}  // namespace bulkhead::platform
