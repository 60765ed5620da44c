#include "platform_service/models/wires.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/seqpacket.h"
#include "nic_model/model.pb.h"
#include "platform_service/parking/state.pb.h"

namespace bulkhead::platform {
namespace {

// Cables and switches have names of their own kind.
std::string CableKey(const std::string& name) { return "cable-" + name; }
std::string SwitchKey(const std::string& name) { return "switch-" + name; }

// Both ends of each port are parked in one message.
constexpr size_t kMostPorts = SeqpacketChannel::kMaxFds / 2;

}  // namespace

absl::Status Wires::Replug(const std::vector<std::string>& users, Wire* wire) {
  if (users.size() > kMostPorts) {
    return absl::InvalidArgumentError(
        absl::StrCat("make a switch of ", users.size(), " ports: it has ",
                     kMostPorts, " at most"));
  }
  Wire next;
  next.is_switch = wire->is_switch;
  next.users = users;
  for (const std::string& user : users) {
    const auto old = std::find(wire->users.begin(), wire->users.end(), user);
    if (wire->is_switch && old != wire->users.end()) {
      const size_t index = old - wire->users.begin();
      next.ends.push_back(std::move(wire->ends[index]));
      next.switch_ends.push_back(std::move(wire->switch_ends[index]));
      continue;
    }
    // One pair makes a whole cable.
    if (!wire->is_switch && next.ends.size() == 2) break;
    auto pair = SeqpacketChannel::CreatePair();
    if (!pair.ok()) return pair.status();
    next.ends.push_back(pair->first.ReleaseFd());
    (wire->is_switch ? next.switch_ends : next.ends)
        .push_back(pair->second.ReleaseFd());
  }
  *wire = std::move(next);
  return absl::OkStatus();
}

absl::Status Wires::Apply(const std::vector<policy::SimulatedNic>& nics) {
  struct Wanted {
    bool is_switch = false;
    std::vector<std::string> users;
  };
  std::map<std::string, Wanted> wanted;
  for (const policy::SimulatedNic& nic : nics) {
    if (const auto* cable = std::get_if<policy::CableNetwork>(&nic.network)) {
      wanted[CableKey(cable->name)].users.push_back(nic.name);
    }
    if (const auto* hub = std::get_if<policy::SwitchNetwork>(&nic.network)) {
      Wanted& entry = wanted[SwitchKey(hub->name)];
      entry.is_switch = true;
      entry.users.push_back(nic.name);
    }
  }
  for (auto it = wires_.begin(); it != wires_.end();) {
    const auto kept = wanted.find(it->first);
    if (kept != wanted.end() && kept->second.users == it->second.users) {
      wanted.erase(kept);
      ++it;
      continue;
    }
    // A switch that goes on keeps the ends of the NICs that stay.
    if (kept != wanted.end() && it->second.is_switch) {
      RETURN_IF_ERROR(Replug(kept->second.users, &it->second));
      Park(it->first, it->second);
      link_.Restart(it->first);
      wanted.erase(kept);
      ++it;
      continue;
    }
    if (it->second.is_switch) link_.Remove(it->first);
    link_.Unpark(absl::StrCat("wire/", it->first));
    undefined_.erase(it->first);
    it = wires_.erase(it);
  }
  for (auto& [name, entry] : wanted) {
    Wire wire;
    wire.is_switch = entry.is_switch;
    RETURN_IF_ERROR(Replug(entry.users, &wire));
    Park(name, wire);
    if (wire.is_switch) StartSwitch(name, wire);
    wires_[name] = std::move(wire);
  }
  return absl::OkStatus();
}

int Wires::EndOf(const std::string& nic) const {
  for (const auto& [name, wire] : wires_) {
    const auto user = std::find(wire.users.begin(), wire.users.end(), nic);
    if (user == wire.users.end()) continue;
    const size_t index = user - wire.users.begin();
    return index < wire.ends.size() ? wire.ends[index].get() : -1;
  }
  return -1;
}

void Wires::StartSwitch(const std::string& name, const Wire& wire) {
  supervisor::ProcessSpec spec;
  spec.set_name(name);
  spec.set_program(absl::StrCat(bin_dir_, "/nic_model/nic_switch"));
  spec.set_needs_payload(true);
  link_.Define(spec);
  BeginSwitch(name, wire);
}

void Wires::BeginSwitch(const std::string& name, const Wire& wire) {
  nic_model::SwitchSpec spec;
  FdList fds;
  for (const UniqueFd& end : wire.switch_ends) spec.add_port_fd(fds.Add(end));
  link_.Begin(name, spec.SerializeAsString(), fds.fds());
}

bool Wires::Owns(const std::string& process) const {
  const auto it = wires_.find(process);
  return it != wires_.end() && it->second.is_switch;
}

void Wires::OnUndefined(const std::string& name, const std::string& reason) {
  // What follows a refused definition is refused as well, and says less.
  if (Owns(name)) undefined_.emplace(name, reason);
}

bool Wires::DefineAgain(const std::string& name) {
  if (undefined_.erase(name) == 0 || !Owns(name)) return false;
  StartSwitch(name, wires_[name]);
  return true;
}

bool Wires::OnDied(const supervisor::FromSupervisor::Died& died) {
  if (!Owns(died.name())) return false;
  if (!died.parked()) BeginSwitch(died.name(), wires_[died.name()]);
  return true;
}

std::vector<std::string> Wires::ProcessNames() const {
  std::vector<std::string> names;
  for (const auto& [name, wire] : wires_) {
    if (wire.is_switch) names.push_back(name);
  }
  return names;
}

void Wires::Park(const std::string& name, const Wire& wire) {
  parking::WireState state;
  state.set_is_switch(wire.is_switch);
  FdList fds;
  for (const std::string& user : wire.users) state.add_user(user);
  for (const UniqueFd& end : wire.ends) fds.Add(end);
  for (const UniqueFd& end : wire.switch_ends) fds.Add(end);
  link_.Park(absl::StrCat("wire/", name), state.SerializeAsString(), fds.fds());
}

absl::Status Wires::Restore(const std::string& name, ParkedEntry entry) {
  parking::WireState state;
  if (!state.ParseFromString(entry.state())) {
    return absl::DataLossError("restore a wire: its parked state is garbled");
  }
  Wire wire;
  wire.is_switch = state.is_switch();
  wire.users.assign(state.user().begin(), state.user().end());
  const size_t ends = wire.is_switch ? wire.users.size() : 2;
  for (size_t i = 0; i < ends; ++i) wire.ends.push_back(entry.Take(i));
  for (size_t i = 0; wire.is_switch && i < ends; ++i) {
    wire.switch_ends.push_back(entry.Take(ends + i));
  }
  wires_[name] = std::move(wire);
  return absl::OkStatus();
}

}  // namespace bulkhead::platform
