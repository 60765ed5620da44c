// The devices that a scenario will have, without starting anything: what
// `bulkhead plan` and a dry run of Apply match on.
#ifndef BULKHEAD_PLATFORM_SERVICE_POLICY_EXPECTED_DEVICES_H_
#define BULKHEAD_PLATFORM_SERVICE_POLICY_EXPECTED_DEVICES_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "platform_service/pci/enumerate.h"
#include "platform_service/policy/model_catalog.h"
#include "platform_service/policy/scenario.h"

namespace bulkhead::policy {

// Simulated NICs as their models will announce themselves, in the scenario's
// order and at the addresses that SimulatedAddress gives, then the devices of
// ScenarioDevices.
absl::StatusOr<pci::BusListing> ExpectedDevices(const Scenario& scenario,
                                                const ModelCatalog& models);

// A NIC that runs stays where it is, whatever the new scenario's order: the
// simulated NICs named in `taken` get the addresses there, and the others keep
// their own unless it is taken: then the first one that is free.
void KeepAddresses(const std::map<std::string, std::string>& taken,
                   std::vector<pci::PciDeviceInfo>* devices);

// Only what `devices:` asks for: this machine's bus or a recorded dump.
absl::StatusOr<pci::BusListing> ScenarioDevices(const Scenario& scenario);

}  // namespace bulkhead::policy

#endif  // BULKHEAD_PLATFORM_SERVICE_POLICY_EXPECTED_DEVICES_H_
