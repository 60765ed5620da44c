// What is known of one NIC, whichever bus it was found on: a PCIe function, or
// an interface that the kernel drives. Plain data: enumeration fills it in,
// policy matches on it, the API shows it.
#ifndef BULKHEAD_PLATFORM_SERVICE_PCI_DEVICE_H_
#define BULKHEAD_PLATFORM_SERVICE_PCI_DEVICE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace bulkhead::pci {

enum class Source : uint8_t {
  kSimulated,  // A nic_model process.
  kSysfs,      // This machine's PCIe bus.
  kRecorded,   // A recorded `lspci -xxxx` dump: to look at, not to drive.
  kLinux,      // A Linux interface; it has no PCI identity here.
};

// "simulated", "sysfs", "recorded" or "linux".
const char* SourceName(Source source);

// "0000:01:00.0": at least four digits of domain, then bus, device, function,
// all hexadecimal.
bool IsPciAddress(absl::string_view text);

struct PciDeviceInfo {
  std::string address;  // "0000:01:00.0"; "veth0", "lab/veth0" of an interface.
  Source source = Source::kSysfs;
  std::string name;  // Scenario name of a simulated NIC, else empty.
  uint16_t vendor = 0;
  uint16_t device = 0;
  uint16_t subsystem_vendor = 0;
  uint16_t subsystem_device = 0;
  uint32_t class_code = 0;  // 24 bits: class, subclass, interface.
  uint8_t revision = 0;
  std::string vendor_name;  // From pci.ids; empty when it does not know.
  std::string device_name;
  std::string class_name;
  // Of the Device Serial Number capability, as lspci prints it:
  // "00-1b-21-ff-ff-aa-bb-cc"; empty when there is none or it is unreadable.
  std::string serial;
  std::string slot;                     // Physical slot, empty when unknown.
  std::string kernel_driver;            // "e1000e", empty when none is bound.
  std::vector<std::string> interfaces;  // Linux interfaces on this device.
  int iommu_group = -1;                 // -1: none.
  int numa_node = -1;                   // -1: none, or only one.
  // Why the machine itself needs it (S9), e.g. "eth0 carries 10.0.0.2/24 and
  // the default route"; empty when it does not.
  std::string used_by;
  // Of a Linux interface; empty or 0 of any other device.
  std::string mac;                // "02:00:00:00:00:01"
  std::string network_namespace;  // Its name; empty: this one.
  int interface_index = 0;
  // What is wrong with its config space, one finding each: a device may lie.
  std::vector<std::string> oddities;

  bool operator==(const PciDeviceInfo&) const = default;
};

}  // namespace bulkhead::pci

#endif  // BULKHEAD_PLATFORM_SERVICE_PCI_DEVICE_H_
