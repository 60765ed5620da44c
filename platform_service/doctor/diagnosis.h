// What stands between this machine's NICs and drivers of their own: each
// obstacle with its cause, what mends it, and what works meanwhile. Pure.
#ifndef BULKHEAD_PLATFORM_SERVICE_DOCTOR_DIAGNOSIS_H_
#define BULKHEAD_PLATFORM_SERVICE_DOCTOR_DIAGNOSIS_H_

#include <string>
#include <vector>

#include "platform_service/doctor/machine.h"
#include "platform_service/policy/driver_catalog.h"

namespace bulkhead::doctor {

enum class Weight : uint8_t {
  kObstacle,  // The NIC cannot be driven before this is mended.
  kKept,      // The machine needs this NIC, and keeps it (S9).
  kWarning,   // It can be driven all the same.
};
const char* WeightName(Weight weight);  // "obstacle", "kept", "warning"

// What `doctor --fix` may do: none of it touches a device (S9).
enum class Fix : uint8_t {
  kNone,
  kLoadVfio,      // modprobe vfio-pci: binds no device.
  kRaiseMemlock,  // This shell's limit, up to what it may raise it to.
};

struct Finding {
  Weight weight = Weight::kObstacle;
  std::string kind = {};  // "iommu-off": for programs; stable.
  std::string cause = {};
  std::string remedy = {};     // Commands, or what else mends it.
  std::string meanwhile = {};  // What works now instead.
  Fix fix = Fix::kNone;

  bool operator==(const Finding&) const = default;
};

struct Report {
  std::string address;  // Empty: of the machine as a whole.
  std::string title;
  std::vector<std::string> good;  // What is as it should be.
  std::vector<Finding> findings;

  bool Blocked() const;  // An obstacle, or kept.
};

struct Diagnosis {
  Report machine;
  std::vector<Report> devices;
  // The asked-for NIC can be driven; without an address: at least one can.
  bool ok = false;
};

// With an `address`: only of that device, which must be one of the machine's.
// Otherwise of every NIC there is.
Diagnosis Diagnose(const Machine& machine, const policy::DriverCatalog& drivers,
                   const std::string& address = "");

// The command that does it, for a shell of pid `shell`; empty for kNone.
std::vector<std::string> FixCommand(Fix fix, const Machine& machine, int shell);

// "shares IOMMU group 7 with 0000:00:1f.0 (ISA bridge)", …; empty: alone.
std::string SharedWith(const Machine& machine,
                       const pci::PciDeviceInfo& device);

}  // namespace bulkhead::doctor

#endif  // BULKHEAD_PLATFORM_SERVICE_DOCTOR_DIAGNOSIS_H_
