// What Linux keeps with an interface, and forgets when its driver gives it up.
#ifndef BULKHEAD_PLATFORM_SERVICE_LINUX_INTERFACE_INTERFACE_SETTINGS_H_
#define BULKHEAD_PLATFORM_SERVICE_LINUX_INTERFACE_INTERFACE_SETTINGS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "platform_service/linux_interface/netlink.h"

namespace bulkhead::platform {

// Addresses and routes are the kernel's own messages of them (RTM_NEWADDR,
// RTM_NEWROUTE), so that nothing of one is lost that has no name here. Those
// which the kernel makes by itself, or a router announces, are not among them:
// they come back as they came.
//
// Not kept: rules, neighbours, queueing disciplines, ethtool's settings, routes
// over several interfaces or by way of a nexthop object, and what stands on the
// interface (a VLAN).
struct InterfaceSettings {
  bool up = false;
  uint32_t mtu = 0;
  MacAddress mac = {};
  std::string master;  // The bond or bridge that it belongs to.
  std::vector<std::string> addresses;
  std::vector<std::string> routes;

  bool operator==(const InterfaceSettings&) const = default;
};

// Of the interface with this name in the thread's network namespace.
absl::StatusOr<InterfaceSettings> ReadSettings(const std::string& interface);

// Makes the interface of this name like that; it may be another one than they
// were read from. Goes on after a failure and returns the first: what could not
// be restored is all that is missing.
absl::Status ApplySettings(const InterfaceSettings& settings,
                           const std::string& interface);

// Lines "key=value", of letters, digits and `_-.` only; ParseSetting takes one
// of them, and is false for what is none.
std::string SettingsText(const InterfaceSettings& settings);
bool ParseSetting(absl::string_view key, absl::string_view value,
                  InterfaceSettings* settings);

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_LINUX_INTERFACE_INTERFACE_SETTINGS_H_
