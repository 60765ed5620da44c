// Lists Linux interfaces as devices that a rule can match.
//
// Guarantees: looking changes nothing. Interfaces without Ethernet frames
//   (loopback, tunnels) are left out.
// Threading: any thread; the calling thread enters other namespaces and is back
//   when the call returns.
#ifndef BULKHEAD_PLATFORM_SERVICE_LINUX_INTERFACE_ENUMERATE_H_
#define BULKHEAD_PLATFORM_SERVICE_LINUX_INTERFACE_ENUMERATE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "platform_service/pci/device.h"

namespace bulkhead::platform {

// Interfaces of one namespace, by name; of this one when the name is empty.
absl::StatusOr<std::vector<pci::PciDeviceInfo>> EnumerateInterfaces(
    const std::string& network_namespace);

// "veth0", or "lab/veth0" in a namespace of that name.
std::string InterfaceAddress(const std::string& network_namespace,
                             const std::string& interface);

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_LINUX_INTERFACE_ENUMERATE_H_
