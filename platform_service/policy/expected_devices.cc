#include "platform_service/policy/expected_devices.h"

#include <utility>

#include "base/errno_status.h"
#include "platform_service/pci/simulated_bus.h"
#include "platform_service/policy/scalar.h"

namespace bulkhead::policy {
namespace {

// How a model announces itself; nic_model/82574l/config_space.cc is what it
// then really says.
pci::PciDeviceInfo Expected(const SimulatedNic& nic) {
  pci::PciDeviceInfo device;
  device.source = pci::Source::kSimulated;
  device.name = nic.name;
  if (nic.model == "82574l") {
    device.vendor = 0x8086;
    device.device = 0x10d3;
    device.subsystem_vendor = 0x8086;
    device.subsystem_device = 0xa01f;
    device.class_code = 0x020000;
    // As pci.ids has them, which takes long to read.
    device.vendor_name = "Intel Corporation";
    device.device_name = "82574L Gigabit Network Connection";
    device.class_name = "Ethernet controller";
  }
  uint64_t serial = nic.serial;
  if (serial == 0) {
    // 82574L datasheet 9.4.2: the MAC address with FF-FF in its middle.
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

absl::StatusOr<pci::BusListing> ScenarioDevices(const Scenario& scenario) {
  if (scenario.devices.sysfs) return pci::EnumerateMachine();
  if (!scenario.devices.recorded.empty()) {
    return pci::EnumerateRecorded(scenario.devices.recorded);
  }
  return pci::BusListing();
}

absl::StatusOr<pci::BusListing> ExpectedDevices(const Scenario& scenario) {
  pci::BusListing listing;
  for (const SimulatedNic& nic : scenario.simulated) {
    pci::PciDeviceInfo device = Expected(nic);
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

}  // namespace bulkhead::policy
