// What this machine offers to drivers of real NICs: its IOMMU, VFIO, the limits
// of this user, and who has which IOMMU group. Only looks; changes nothing.
#ifndef BULKHEAD_PLATFORM_SERVICE_DOCTOR_MACHINE_H_
#define BULKHEAD_PLATFORM_SERVICE_DOCTOR_MACHINE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "platform_service/pci/device.h"
#include "platform_service/vfio/group_holders.h"

namespace bulkhead::doctor {

using platform::ProcessName;

struct IommuGroup {
  std::vector<std::string> members;  // Addresses, sorted.
  bool device_file = false;          // There is a /dev/vfio/N …
  bool accessible = false;           // … that this user may open.
  std::vector<ProcessName> holders;  // Who has it open, as far as we may see.
};

enum class CpuVendor : uint8_t { kIntel, kAmd, kOther };

struct Machine {
  // The firmware's tables name an IOMMU (ACPI DMAR, IVRS or IORT).
  bool firmware_has_iommu = false;
  bool is_virtual = false;  // A hypervisor's guest.
  CpuVendor cpu = CpuVendor::kOther;
  std::string command_line;          // The kernel's.
  std::map<int, IommuGroup> groups;  // Empty: no IOMMU is in use.
  // Of the IOMMUs in use; nothing where sysfs does not tell (all but Intel).
  std::optional<bool> interrupt_remapping;
  bool unsafe_interrupts_allowed = false;
  bool unsafe_noiommu = false;

  bool vfio_loaded = false;           // vfio-pci is there as a driver.
  bool vfio_available = false;        // … or modprobe would find it.
  bool container_accessible = false;  // /dev/vfio/vfio may be opened.

  bool is_root = false;
  std::string kernel;  // Its release, "6.1.0-18-amd64".
  // Bytes that this user may lock; UINT64_MAX: any number.
  uint64_t memlock_soft = UINT64_MAX;
  uint64_t memlock_hard = UINT64_MAX;

  std::vector<pci::PciDeviceInfo> devices;  // All PCI functions, by address.
  std::vector<std::string> warnings;        // What could not be read.
};

// Of the machine whose /sys, /proc, /dev and /lib are below `root`: "" for this
// one, a folder for a recorded one. One without a PCI bus has no devices, and a
// warning.
// Threading: any thread; takes some milliseconds.
absl::StatusOr<Machine> Examine(const std::string& root = "");

}  // namespace bulkhead::doctor

#endif  // BULKHEAD_PLATFORM_SERVICE_DOCTOR_MACHINE_H_
