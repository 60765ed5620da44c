// Which clients the router has, and under which MAC address.
#ifndef BULKHEAD_PLATFORM_SERVICE_ROUTER_CLIENT_POLICY_H_
#define BULKHEAD_PLATFORM_SERVICE_ROUTER_CLIENT_POLICY_H_

#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "nic_router/config.h"

namespace bulkhead::platform {

// The domain of the first policy that matches `label`. PermissionDenied, with
// cause and remedy, when none does.
absl::StatusOr<std::string> DomainOf(const nic_router::RouterConfig& config,
                                     absl::string_view label);

// A locally administered address (IEEE 802, bit 1 of the first byte) that a
// client of this label has every time; the next one, should somebody have it in
// `taken` already.
nic_router::MacAddress MacOf(absl::string_view router, absl::string_view label,
                             const std::set<nic_router::MacAddress>& taken);

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_ROUTER_CLIENT_POLICY_H_
