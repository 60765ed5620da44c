// The machine's own network: which Linux interface sits on which PCI device and
// what it carries (S9). Only looks; changes nothing.
#ifndef BULKHEAD_PLATFORM_SERVICE_PCI_HOST_NETWORK_H_
#define BULKHEAD_PLATFORM_SERVICE_PCI_HOST_NETWORK_H_

#include <string>
#include <vector>

namespace bulkhead::pci {

struct HostInterface {
  std::string name;
  // The nearest PCI function above it: of the NIC itself, or of what a virtio
  // or USB NIC hangs from. Empty: a virtual interface.
  std::string pci_address;
  std::vector<std::string> addresses;  // "10.0.0.2/24", any family or scope.
  bool default_route = false;
  bool other_routes = false;            // Beyond those of its own addresses.
  std::vector<std::string> belongs_to;  // "bond bond0", "bridge br0",
                                        // "interface eth0.5" on top of it.

  bool operator==(const HostInterface&) const = default;
};

// All interfaces of this network namespace, by name. `sys` and `proc` are where
// these file systems are mounted; what cannot be read is left out.
std::vector<HostInterface> ReadHostNetwork(const std::string& sys = "/sys",
                                           const std::string& proc = "/proc");

// Why the machine needs the interface: "eth0 carries 10.0.0.2/24 and the
// default route"; empty when it does not.
std::string WhyUsed(const HostInterface& interface);

// Why the machine needs the PCI function that these interfaces may sit on: what
// each of them carries, or that the only one has been lent away. Empty when it
// does not. `kernel_driver`: the function's; empty: none.
std::string WhyUsed(const std::vector<HostInterface>& interfaces,
                    const std::string& pci_address, bool is_network_card,
                    const std::string& kernel_driver);

// The last PCI address among the components of a sysfs path, or empty.
std::string NearestPciAddress(const std::string& path);

}  // namespace bulkhead::pci

#endif  // BULKHEAD_PLATFORM_SERVICE_PCI_HOST_NETWORK_H_
