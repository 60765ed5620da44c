// Cables and switches: what joins the ports of simulated NICs.
#ifndef BULKHEAD_PLATFORM_SERVICE_MODELS_WIRES_H_
#define BULKHEAD_PLATFORM_SERVICE_MODELS_WIRES_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/unique_fd.h"
#include "platform_service/parking/parking_lot.h"
#include "platform_service/policy/scenario.h"
#include "platform_service/supervisor_link.h"

namespace bulkhead::platform {

// A wire's ends stay open here, so that a model that restarts is plugged into
// the same wire. A cable is a seqpacket socket pair between two models; a
// switch has such a pair for each of its ports, and a process of its own
// (nic_model/switch) holds the other ends.
//
// Threading: the loop's thread.
class Wires {
 public:
  Wires(SupervisorLink& link, std::string bin_dir)
      : link_(link), bin_dir_(std::move(bin_dir)) {}

  // Makes the wires that `nics` name and drops the others. Switch processes
  // are started, and restarted when their ports changed. InvalidArgument: a
  // switch with more than 32 ports.
  absl::Status Apply(const std::vector<policy::SimulatedNic>& nics);

  // The socket that `nic` is plugged into; -1 when it has none.
  int EndOf(const std::string& nic) const;

  // A switch's process lost its state with its life: it gets its ends again.
  // False: `process` is no switch.
  bool OnDied(const supervisor::FromSupervisor::Died& died);
  bool Owns(const std::string& process) const;
  // The supervisor would not define a switch's process; `reason` says why.
  void OnUndefined(const std::string& name, const std::string& reason);
  // Tries that again; false: `name` is no such switch.
  bool DefineAgain(const std::string& name);
  // Switches without a process, and why.
  const std::map<std::string, std::string>& undefined() const {
    return undefined_;
  }
  std::vector<std::string> ProcessNames() const;

  // A parked entry "wire/NAME".
  absl::Status Restore(const std::string& name, ParkedEntry entry);

 private:
  struct Wire {
    bool is_switch = false;
    std::vector<std::string> users;  // A NIC for each of `ends`.
    std::vector<UniqueFd> ends;
    std::vector<UniqueFd> switch_ends;
  };

  // Gives `wire` an end for each of `users`.
  static absl::Status Replug(const std::vector<std::string>& users, Wire* wire);
  void StartSwitch(const std::string& name, const Wire& wire);
  void BeginSwitch(const std::string& name, const Wire& wire);
  void Park(const std::string& name, const Wire& wire);

  SupervisorLink& link_;
  std::string bin_dir_;
  std::map<std::string, Wire> wires_;
  std::map<std::string, std::string> undefined_;
};

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_MODELS_WIRES_H_
