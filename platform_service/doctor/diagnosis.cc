#include "platform_service/doctor/diagnosis.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "platform_service/doctor/reports.h"

namespace bulkhead::doctor {
namespace {

constexpr uint32_t kNetwork = 0x02;

Finding NoNic(const std::vector<Report>& devices) {
  return {.kind = "no-nic",
          .cause = devices.empty()
                       ? "this machine has no PCIe network card"
                       : "none of this machine's NICs can be driven as it is; "
                         "the reasons follow",
          .remedy = devices.empty() ? "put one in"
                                    : "mend one of them, or put another NIC in",
          .meanwhile =
              "simulated NICs need none of this: `bulkhead up "
              "configs/two_nics.yaml`"};
}

}  // namespace

const char* WeightName(Weight weight) {
  switch (weight) {
    case Weight::kObstacle:
      return "obstacle";
    case Weight::kKept:
      return "kept";
    case Weight::kWarning:
      break;
  }
  return "warning";
}

bool Report::Blocked() const {
  return std::any_of(findings.begin(), findings.end(), [](const Finding& f) {
    return f.weight != Weight::kWarning;
  });
}

Diagnosis Diagnose(const Machine& machine, const policy::DriverCatalog& drivers,
                   const std::string& address) {
  Diagnosis diagnosis;
  diagnosis.machine = ExamineMachine(machine);
  for (const pci::PciDeviceInfo& device : machine.devices) {
    const bool asked = device.address == address;
    if (asked || (address.empty() && device.class_code >> 16 == kNetwork)) {
      diagnosis.devices.push_back(
          ExamineDevice(machine, device, drivers, asked));
    }
  }
  const bool any =
      std::any_of(diagnosis.devices.begin(), diagnosis.devices.end(),
                  [](const Report& report) { return !report.Blocked(); });
  diagnosis.ok = any && !diagnosis.machine.Blocked();
  if (!any && address.empty()) {
    diagnosis.machine.findings.push_back(NoNic(diagnosis.devices));
  }
  return diagnosis;
}

std::vector<std::string> FixCommand(Fix fix, const Machine& machine,
                                    int shell) {
  switch (fix) {
    case Fix::kLoadVfio:
      return {"modprobe", "vfio-pci"};
    case Fix::kRaiseMemlock: {
      const std::string limit = machine.memlock_hard == UINT64_MAX
                                    ? "unlimited"
                                    : absl::StrCat(machine.memlock_hard);
      return {"prlimit", absl::StrCat("--pid=", shell),
              absl::StrCat("--memlock=", limit, ":", limit)};
    }
    case Fix::kNone:
      break;
  }
  return {};
}

}  // namespace bulkhead::doctor
