// Decides which NIC gets which driver: devices × rules → a plan.
//
// Requires: a scenario from the parser; devices in a stable order (enumeration
//   sorts by address).
// Guarantees: pure, and the same arguments give the same plan.
//   S1: an instance name stands in one entry, a device in one entry.
//   S3: of one IOMMU group one device is driven.
//   S9: a device that the machine uses is refused unless its rule names it and
//   no other, and says `take`.
// Threading: any thread.
#ifndef BULKHEAD_PLATFORM_SERVICE_POLICY_MATCHER_H_
#define BULKHEAD_PLATFORM_SERVICE_POLICY_MATCHER_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "platform_service/pci/device.h"
#include "platform_service/policy/driver_catalog.h"
#include "platform_service/policy/scenario.h"

namespace bulkhead::policy {

struct PlanEntry {
  pci::PciDeviceInfo device;
  std::optional<DriverRule> rule;  // The first that matched, if any.
  std::string rule_place;          // "FILE:LINE" of it.
  // The name that the rule gives; also for a refused device, when there is one.
  std::string instance;
  std::string refused;  // Why there is no instance although a rule matched:
                        // cause and remedy. Empty: there is one.

  bool driven() const { return rule.has_value() && refused.empty(); }
};

// What is, or shall be, running.
struct Plan {
  std::vector<SimulatedNic> simulated;
  std::vector<PlanEntry> entries;  // One for each device, in their order.
  std::optional<std::vector<ClientRule>> clients;
  std::optional<RouterSpec> router;

  // The driven entry of that instance, or null.
  const PlanEntry* Find(const std::string& instance) const;
};

// What stays the same of a device while its address may change: the scenario
// name of a simulated NIC, the address of any other.
std::string DeviceKey(const pci::PciDeviceInfo& device);

// Whether every given part of `match` holds for `device`.
bool Matches(const MatchSpec& match, const pci::PciDeviceInfo& device);

// {index} counts the NICs that a pattern's rules match, refused ones too, so
// that a refusal renames no other NIC. With a `running` plan, a NIC keeps the
// number that it has there, and new NICs get the lowest free ones.
Plan MakePlan(const Scenario& scenario,
              const std::vector<pci::PciDeviceInfo>& devices,
              const DriverCatalog& drivers, const Plan* running = nullptr);

// What a client with this label may use in sessions: the bytes (0: no limit).
// Errors: PERMISSION_DENIED with cause and remedy when it may not open
// `instance`.
absl::StatusOr<uint64_t> MayOpen(
    const std::optional<std::vector<ClientRule>>& clients,
    const std::string& label, const std::string& instance);

}  // namespace bulkhead::policy

#endif  // BULKHEAD_PLATFORM_SERVICE_POLICY_MATCHER_H_
