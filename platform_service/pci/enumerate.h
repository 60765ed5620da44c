// Finds PCIe functions, always through libpci: on this machine's sysfs, on a
// tree of the simulated bus, or in a recorded `lspci -xxxx` dump.
//
// Guarantees: a config space is outside input: looping capability lists, absurd
//   BARs and all-ones registers are survived and named in `oddities`. libpci's
//   fatal errors come back as a Status; they never end the process. Looking
//   changes nothing on the machine.
// Threading: any thread; the calls share nothing but the pci.ids cache, which
//   has a lock.
#ifndef BULKHEAD_PLATFORM_SERVICE_PCI_ENUMERATE_H_
#define BULKHEAD_PLATFORM_SERVICE_PCI_ENUMERATE_H_

#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "platform_service/pci/device.h"

namespace bulkhead::pci {

struct BusListing {
  std::vector<PciDeviceInfo> devices;  // Sorted by address.
  std::vector<std::string> warnings;   // What libpci complained of.
};

// This machine's bus, with Linux interfaces and `used_by` (S9); or that of a
// machine whose /sys and /proc were recorded below `root`.
absl::StatusOr<BusListing> EnumerateMachine(const std::string& root = "");

// A tree that SimulatedBus wrote: `path`/devices/ADDRESS/…. The names of
// vendors, devices and classes are left out (see FillNames).
absl::StatusOr<BusListing> EnumerateSimulated(const std::string& path);
// The same, only those at `addresses`.
absl::StatusOr<BusListing> EnumerateSimulated(
    const std::string& path, const std::set<std::string>& addresses);

// A dump as `lspci -xxxx` (or -x, -xxx; -n or not) prints it: a regular file of
// at most 16 MiB.
absl::StatusOr<BusListing> EnumerateRecorded(const std::string& path);

// Fills in vendor_name, device_name and class_name from pci.ids. The first call
// reads that file (some 20 ms), later ones a cache.
void FillNames(PciDeviceInfo* device);

}  // namespace bulkhead::pci

#endif  // BULKHEAD_PLATFORM_SERVICE_PCI_ENUMERATE_H_
