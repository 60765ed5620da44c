// Every NIC and every instance of the running plan, and the way from one plan
// to the next.
#ifndef BULKHEAD_PLATFORM_SERVICE_FLEET_H_
#define BULKHEAD_PLATFORM_SERVICE_FLEET_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "platform_service/instances/instance.h"
#include "platform_service/linux_interface/interface_taker.h"
#include "platform_service/linux_interface/linux_nic.h"
#include "platform_service/models/sim_port.h"
#include "platform_service/models/wires.h"
#include "platform_service/parking/parking_lot.h"
#include "platform_service/pci/simulated_bus.h"
#include "platform_service/policy/driver_catalog.h"
#include "platform_service/policy/matcher.h"
#include "platform_service/policy/plan_diff.h"
#include "platform_service/supervisor_link.h"
#include "platform_service/vfio/function_taker.h"
#include "platform_service/vfio/kernel_log.h"
#include "platform_service/vfio/reset_ladder.h"
#include "platform_service/vfio/vfio_nic.h"

namespace bulkhead::platform {

// A plan is wanted; Settle takes every step towards it that can be taken now,
// and is called again when something that was in the way is gone. So a device
// never has two instances (S1), whatever the order in which processes end.
//
// Threading: the loop's thread.
class Fleet {
 public:
  struct Places {
    std::string run_dir;
    std::string bin_dir;
  };

  static absl::StatusOr<std::unique_ptr<Fleet>> Create(EventLoop& loop,
                                                       SupervisorLink& link,
                                                       Places places);
  ~Fleet();

  // The plan that `scenario` makes of these devices, given what runs.
  policy::Plan MakePlan(const policy::Scenario& scenario,
                        std::vector<pci::PciDeviceInfo> devices) const;
  // From now on `plan` is wanted.
  absl::Status Apply(policy::Plan plan);
  // Ends everything; `done` gets the number of processes that ran.
  void RemoveAll(std::function<void(uint32_t stopped)> done);

  // Gives back what a system that was killed had taken (S10). Waits for it.
  void GiveBackStale();
  // At the end: gives back what is still held. Does nothing while there are
  // instances, since the next platform service takes over then.
  void GiveBackAtEnd();

  // Takes back what an earlier platform service parked: entries "wire/…",
  // "port/…", "vfio/…", "interface/…", "instance/…" of `entries`, with `plan`
  // as the running plan.
  void Restore(policy::Plan plan, ParkedEntries* entries);

  // Takes every step towards the plan that can be taken now.
  void Settle();

  // Whether a process of this name belongs here.
  bool Owns(const std::string& process) const;
  void OnState(const supervisor::ProcessState& state);
  void OnDied(const supervisor::FromSupervisor::Died& died);
  void OnRemoved(const std::string& name);
  // `defined`: the supervisor has such a process.
  void OnRefused(const std::string& name, const std::string& reason,
                 bool defined);
  // What cannot start, and why; no waiting makes it better.
  std::vector<std::string> Failures() const;
  // Asks the supervisor again for a process that it would not define; false
  // when `name` is none of these.
  bool DefineAgain(const std::string& name);

  const policy::Plan& plan() const { return plan_; }
  const std::map<std::string, std::unique_ptr<Instance>>& instances() const {
    return instances_;
  }
  const std::map<std::string, std::unique_ptr<SimPort>>& ports() const {
    return ports_;
  }
  // Real NICs, by address.
  const std::map<std::string, std::unique_ptr<VfioNic>>& cards() const {
    return cards_;
  }
  // Linux interfaces, by address.
  const std::map<std::string, std::unique_ptr<LinuxNic>>& interfaces() const {
    return interfaces_;
  }
  // Null when there is none of that name, or it is on its way out.
  Instance* FindInstance(const std::string& name) const;
  const Wires& wires() const { return wires_; }

 private:
  Fleet(EventLoop& loop, SupervisorLink& link, Places places,
        pci::SimulatedBus bus)
      : loop_(loop),
        link_(link),
        places_(std::move(places)),
        bus_(std::move(bus)),
        wires_(link, places_.bin_dir),
        taker_(std::make_unique<Sysfs>(), RecordsOf(places_.run_dir)),
        interface_taker_(InterfaceRecordsOf(places_.run_dir)) {}

  void RemoveUnwanted();
  void StartPorts();
  void StartCards();
  void StartInstances();
  void UpdateInstance(Instance& instance, const policy::PlanEntry& entry);
  InstanceSpec SpecOf(const policy::PlanEntry& entry) const;
  std::string ProgramOf(const std::string& driver) const;
  SimPort::Handlers HandlersFor(const std::string& port);
  ModelPlace PlaceOfModel() const;
  SimPort* PortOf(const policy::PlanEntry& entry) const;
  // Null: not there yet, or refused.
  Nic* NicOf(const policy::PlanEntry& entry) const;
  // By policy::DeviceKey: a port's name, a card's address.
  Instance* InstanceOn(const std::string& device_key) const;

  std::unique_ptr<VfioNic> MakeCard(const policy::PlanEntry& entry,
                                    const policy::DriverCatalog& drivers);
  void RemoveUnwantedCards();
  std::unique_ptr<LinuxNic> MakeInterface(const policy::PlanEntry& entry,
                                          const policy::DriverCatalog& drivers);
  void StartInterfaces();
  void RemoveUnwantedInterfaces();
  void RestoreInterfaces(ParkedEntries* entries);
  void SetUseOf(const policy::PlanEntry& entry);
  void OnInterfaceUp(const std::string& address);
  void OnCardUp(const std::string& address);
  void OnGivenBack(const std::string& address);
  void OpenKernelLog();
  void OnFault(const DeviceFault& fault);

  void OnPortUp(const std::string& port);
  void OnPortDown(const std::string& port, const std::string& reason);
  void EnumerateSoon();
  void Enumerate();
  void MeetDevice(policy::PlanEntry& entry, const pci::PciDeviceInfo& device);
  bool IsRedefining(const std::string& name) const;
  void CheckEmpty();

  EventLoop& loop_;
  SupervisorLink& link_;
  Places places_;
  pci::SimulatedBus bus_;
  Wires wires_;
  policy::Plan plan_;
  std::map<std::string, std::unique_ptr<SimPort>> ports_;
  FunctionTaker taker_;
  ResetMemory resets_;
  std::map<std::string, std::unique_ptr<VfioNic>> cards_;
  std::set<std::string> leaving_cards_;  // Being given back.
  std::unique_ptr<KernelLog> kernel_log_;
  InterfaceTaker interface_taker_;
  std::map<std::string, std::unique_ptr<LinuxNic>> interfaces_;
  std::map<std::string, std::unique_ptr<Instance>> instances_;
  std::set<std::string> leaving_;      // Removed was not heard of yet.
  std::set<std::string> fresh_ports_;  // To be enumerated.
  std::map<std::string, std::string> addresses_;      // Of NICs on the bus.
  std::map<std::string, std::string> refused_ports_;  // Why there is none.
  EventLoop::TimerId enumerate_timer_ = 0;
  bool ending_ = false;  // The supervisor takes everything down.
  uint32_t stopped_ = 0;
  std::function<void(uint32_t)> emptied_;
};

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_FLEET_H_
