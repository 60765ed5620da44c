// The Linux interfaces of the fleet: taken when the plan wants them, watched,
// given back when their instance has gone.
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "platform_service/fleet.h"

namespace bulkhead::platform {
namespace {

bool IsDrivenInterface(const policy::PlanEntry& entry) {
  return entry.driven() && entry.device.source == pci::Source::kLinux;
}

LinuxNic::Use UseOf(const policy::PlanEntry& entry,
                    const policy::DriverCatalog& drivers) {
  const auto driver = drivers.find(entry.rule->driver);
  return {driver == drivers.end() ? policy::SocketKind::kNone
                                  : driver->second.socket,
          entry.rule->limits.queues};
}

}  // namespace

std::unique_ptr<LinuxNic> Fleet::MakeInterface(
    const policy::PlanEntry& entry, const policy::DriverCatalog& drivers) {
  const std::string& address = entry.device.address;
  return std::make_unique<LinuxNic>(
      LinuxNic::Shared{loop_, link_, interface_taker_, places_.run_dir},
      entry.instance, entry.device, UseOf(entry, drivers),
      LinuxNic::Handlers{[this, address] { OnInterfaceUp(address); },
                         [this, address](const std::string& reason) {
                           if (Instance* instance = InstanceOn(address)) {
                             instance->OnDeviceDown(reason);
                           }
                         },
                         [this, address] {
                           if (Instance* instance = InstanceOn(address)) {
                             instance->OnInterfaceChanged();
                           }
                         }});
}

void Fleet::StartInterfaces() {
  policy::DriverCatalog drivers;
  for (policy::PlanEntry& entry : plan_.entries) {
    const std::string& address = entry.device.address;
    if (!IsDrivenInterface(entry) || interfaces_.count(address) != 0) continue;
    if (drivers.empty()) drivers = policy::ListDrivers(places_.bin_dir);
    std::unique_ptr<LinuxNic> interface = MakeInterface(entry, drivers);
    if (const absl::Status taken = interface->Take(); !taken.ok()) {
      LogError(taken.message());
      link_.Record(entry.instance, 0, "refused", taken.message());
      // Until the next plan.
      entry.refused = std::string(taken.message());
      continue;
    }
    interfaces_[address] = std::move(interface);
  }
}

void Fleet::RemoveUnwantedInterfaces() {
  std::set<std::string> wanted;
  for (const policy::PlanEntry& entry : plan_.entries) {
    if (IsDrivenInterface(entry)) wanted.insert(entry.device.address);
  }
  for (auto it = interfaces_.begin(); it != interfaces_.end();) {
    // Its instance goes first, so that the driver stops in order.
    if (wanted.count(it->first) != 0 || InstanceOn(it->first) != nullptr) {
      ++it;
      continue;
    }
    if (const absl::Status status = it->second->GiveBack(); !status.ok()) {
      LogError(status.message());
    }
    it = interfaces_.erase(it);
  }
}

void Fleet::RestoreInterfaces(ParkedEntries* entries) {
  const policy::DriverCatalog drivers = policy::ListDrivers(places_.bin_dir);
  for (const policy::PlanEntry& planned : plan_.entries) {
    const std::string& address = planned.device.address;
    auto parked = entries->extract("interface/" + address);
    if (!IsDrivenInterface(planned) || parked.empty()) continue;
    std::unique_ptr<LinuxNic>& interface = interfaces_[address] =
        MakeInterface(planned, drivers);
    if (const absl::Status status =
            interface->Restore(std::move(parked.mapped()));
        !status.ok()) {
      LogError(absl::StrCat(address, ": ", status.message()));
    }
  }
}

void Fleet::SetUseOf(const policy::PlanEntry& entry) {
  const auto interface = interfaces_.find(entry.device.address);
  if (interface == interfaces_.end()) return;
  interface->second->SetUse(UseOf(entry, policy::ListDrivers(places_.bin_dir)));
}

void Fleet::OnInterfaceUp(const std::string& address) {
  const auto interface = interfaces_.find(address);
  Instance* instance = InstanceOn(address);
  if (interface != interfaces_.end() && instance != nullptr) {
    instance->OnDeviceUp(interface->second->info());
  }
}

}  // namespace bulkhead::platform
