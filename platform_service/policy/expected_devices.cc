#include "platform_service/policy/expected_devices.h"

#include <set>
#include <utility>

#include "base/errno_status.h"
#include "platform_service/linux_interface/enumerate.h"
#include "platform_service/pci/simulated_bus.h"
#include "platform_service/policy/scalar.h"

namespace bulkhead::policy {
namespace {

// How a model announces itself, by its model.yaml; its config space is what it
// then really says.
pci::PciDeviceInfo Expected(const SimulatedNic& nic,
                            const ModelCatalog& models) {
  pci::PciDeviceInfo device;
  device.source = pci::Source::kSimulated;
  device.name = nic.name;
  if (const auto model = models.find(nic.model); model != models.end()) {
    const Announced& says = model->second.announced;
    device.vendor = says.vendor;
    device.device = says.device;
    device.subsystem_vendor = says.subsystem_vendor;
    device.subsystem_device = says.subsystem_device;
    device.class_code = says.class_code;
    device.revision = says.revision;
    // Not from pci.ids, which takes long to read.
    device.vendor_name = says.vendor_name;
    device.device_name = says.device_name;
    device.class_name = says.class_name;
  }
  uint64_t serial = nic.serial;
  if (serial == 0) {
    // Every model makes its serial number as the 82574L does (datasheet 9.4.2):
    // the MAC address with FF-FF in its middle.
    for (const uint8_t byte :
         {nic.mac[0], nic.mac[1], nic.mac[2], uint8_t{0xff}, uint8_t{0xff},
          nic.mac[3], nic.mac[4], nic.mac[5]}) {
      serial = serial << 8 | byte;
    }
  }
  device.serial = SerialText(serial);
  return device;
}

}  // namespace

absl::StatusOr<pci::BusListing> PciDevices(const Scenario& scenario) {
  if (scenario.devices.sysfs) return pci::EnumerateMachine();
  if (!scenario.devices.recorded.empty()) {
    return pci::EnumerateRecorded(scenario.devices.recorded);
  }
  return pci::BusListing();
}

absl::StatusOr<pci::BusListing> ScenarioDevices(const Scenario& scenario) {
  ASSIGN_OR_RETURN(pci::BusListing listing, PciDevices(scenario));
  std::vector<std::string> namespaces = scenario.devices.namespaces;
  if (scenario.devices.interfaces) namespaces.insert(namespaces.begin(), "");
  for (const std::string& name : namespaces) {
    auto interfaces = platform::EnumerateInterfaces(name);
    if (!interfaces.ok()) {
      // The others are not worse for it.
      listing.warnings.emplace_back(interfaces.status().message());
      continue;
    }
    for (pci::PciDeviceInfo& device : *interfaces) {
      listing.devices.push_back(std::move(device));
    }
  }
  return listing;
}

absl::StatusOr<pci::BusListing> ExpectedDevices(const Scenario& scenario,
                                                const ModelCatalog& models) {
  pci::BusListing listing;
  for (const SimulatedNic& nic : scenario.simulated) {
    pci::PciDeviceInfo device = Expected(nic, models);
    device.address = pci::SimulatedAddress(listing.devices.size());
    listing.devices.push_back(std::move(device));
  }
  ASSIGN_OR_RETURN(pci::BusListing others, ScenarioDevices(scenario));
  for (pci::PciDeviceInfo& device : others.devices) {
    listing.devices.push_back(std::move(device));
  }
  listing.warnings = std::move(others.warnings);
  return listing;
}

void KeepAddresses(const std::map<std::string, std::string>& taken,
                   std::vector<pci::PciDeviceInfo>* devices) {
  // Also of NICs that leave: they hold theirs until their model has ended.
  std::set<std::string> used;
  for (const auto& [name, address] : taken) used.insert(address);
  size_t next = 0;
  for (pci::PciDeviceInfo& device : *devices) {
    if (device.source != pci::Source::kSimulated) continue;
    if (const auto it = taken.find(device.name); it != taken.end()) {
      device.address = it->second;
      continue;
    }
    while (!used.insert(device.address).second) {
      device.address = pci::SimulatedAddress(next++);
    }
  }
}

}  // namespace bulkhead::policy
