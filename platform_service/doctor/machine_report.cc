// The machine as a whole: IOMMU, interrupts, VFIO, this user's rights.
#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "platform_service/doctor/reports.h"
#include "platform_service/vfio/unsafe_interrupts.h"

namespace bulkhead::doctor {
namespace {

// What the rings and the session of one NIC take at most by default.
constexpr uint64_t kNeededBytes = uint64_t{64} << 20;
constexpr uint64_t kMiB = 1 << 20;

constexpr char kSimulated[] =
    "simulated NICs need none of this: `bulkhead up configs/two_nics.yaml`";

// Words of the kernel's command line that turn an IOMMU off
// (Documentation/admin-guide/kernel-parameters.txt).
std::string TurnedOffBy(const std::string& command_line) {
  for (absl::string_view word : absl::StrSplit(command_line, ' ')) {
    for (const char* off : {"intel_iommu=off", "amd_iommu=off", "iommu=off"}) {
      if (word == off) return off;
    }
  }
  return "";
}

std::string BootWith(const std::string& change) {
  return absl::StrCat(
      change,
      " GRUB_CMDLINE_LINUX in /etc/default/grub, then `update-grub` and "
      "`reboot`");
}

std::string AddIntelIommu() { return BootWith("add `intel_iommu=on` to"); }

// Linux uses AMD's IOMMU unless it is told not to, and has no word to turn it
// on (drivers/iommu/amd/init.c, parse_amd_iommu_options).
std::string HowToUse(CpuVendor cpu) {
  if (cpu != CpuVendor::kAmd) return AddIntelIommu();
  return "set IOMMU to Enabled, not Auto, in the firmware's set-up and "
         "`reboot`; `dmesg | grep AMD-Vi` says why it is not used";
}

void CheckIommu(const Machine& machine, Report* report) {
  if (!machine.groups.empty()) {
    report->good.push_back(
        absl::StrCat("an IOMMU is in use, with ", machine.groups.size(),
                     machine.groups.size() == 1 ? " group" : " groups"));
    return;
  }
  const bool amd = machine.cpu == CpuVendor::kAmd;
  Finding finding = {.kind = "iommu-off", .meanwhile = kSimulated};
  const std::string off = TurnedOffBy(machine.command_line);
  if (!off.empty()) {
    finding.cause =
        absl::StrCat("the kernel was started with `", off,
                     "`: without an IOMMU a NIC can write to any memory");
    finding.remedy = BootWith(absl::StrCat("take `", off, "` out of"));
  } else if (machine.firmware_has_iommu) {
    finding.cause =
        "the firmware offers an IOMMU, and the kernel does not use "
        "it";
    finding.remedy = HowToUse(machine.cpu);
  } else if (machine.is_virtual) {
    finding.kind = "iommu-none";
    finding.cause = "this is a virtual machine without a virtual IOMMU";
    finding.remedy =
        "give it one, e.g. with QEMU `-machine q35,kernel-irqchip=split "
        "-device intel-iommu,intremap=on,caching-mode=on`, and start its "
        "kernel with `intel_iommu=on`";
  } else {
    finding.kind = "iommu-none";
    finding.cause =
        absl::StrCat("the firmware offers no IOMMU: ", amd ? "AMD-Vi" : "VT-d",
                     " is off in its set-up, or the machine has none");
    finding.remedy = absl::StrCat(
        "turn on ", amd ? "IOMMU (AMD-Vi)" : "VT-d",
        " in the firmware's set-up, then ",
        amd ? "`reboot`: the kernel uses it by itself" : AddIntelIommu());
  }
  report->findings.push_back(std::move(finding));
}

// Without remapping VFIO refuses all devices; with its leave to do without,
// Bulkhead does.
void CheckInterrupts(const Machine& machine, Report* report) {
  const bool remapped = machine.interrupt_remapping.value_or(true);
  const bool allowed = machine.unsafe_interrupts_allowed;
  if (remapped && !allowed) {
    if (machine.interrupt_remapping.has_value()) {
      report->good.push_back("interrupts are remapped");
    }
    return;
  }
  std::vector<std::string> causes;
  std::vector<std::string> remedies;
  if (!remapped) {
    causes.emplace_back(
        "interrupts are not remapped: a device could forge them, so VFIO "
        "refuses all devices");
    remedies.emplace_back(
        "turn on interrupt remapping (x2APIC) in the firmware, and take "
        "`intremap=off` and `nointremap` off the kernel's command line");
  }
  if (allowed) {
    causes.emplace_back(absl::StrCat(platform::kUnsafeInterruptsCause,
                                     ": Bulkhead takes none"));
    remedies.emplace_back(platform::kUnsafeInterruptsRemedy);
  }
  report->findings.push_back(
      {.kind = "unsafe-interrupts",
       .cause = absl::StrJoin(causes, "; and "),
       .remedy = absl::StrJoin(remedies, ", and "),
       .meanwhile =
           "NICs through their kernel drivers: rules with `interface`, and the "
           "driver af_xdp or af_packet (docs/linux-interfaces.md); and "
           "simulated NICs"});
}

void CheckVfio(const Machine& machine, Report* report) {
  if (machine.unsafe_noiommu) {
    report->findings.push_back(
        {.weight = Weight::kWarning,
         .kind = "unsafe-noiommu",
         .cause = "VFIO may drive devices without an IOMMU; Bulkhead does not",
         .remedy = "`echo N > "
                   "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode`",
         .meanwhile = "NICs in an IOMMU group can be driven"});
  }
  if (machine.vfio_loaded) {
    report->good.push_back("vfio-pci is loaded");
    return;
  }
  Finding finding = {.kind = "vfio-missing", .meanwhile = kSimulated};
  if (machine.vfio_available) {
    finding.cause = "the module vfio-pci is not loaded";
    finding.remedy =
        "`modprobe vfio-pci`; for every boot: `echo vfio-pci > "
        "/etc/modules-load.d/bulkhead.conf`";
    finding.fix = Fix::kLoadVfio;
  } else {
    finding.cause =
        absl::StrCat("there is no module vfio-pci for kernel ", machine.kernel);
    finding.remedy =
        "`apt-get install linux-image-amd64` (Debian's cloud kernel has none), "
        "then `reboot`";
  }
  report->findings.push_back(std::move(finding));
}

void CheckUser(const Machine& machine, Report* report) {
  if (machine.is_root) {
    report->good.push_back("this is root, who may take NICs");
  } else {
    report->findings.push_back(
        {.kind = "not-root",
         .cause = "only root may take a NIC from its kernel driver; the "
                  "drivers themselves run without rights",
         .remedy = "`sudo bulkhead up FILE`",
         .meanwhile = kSimulated});
  }
  if (machine.memlock_soft >= kNeededBytes) return;
  Finding finding = {.kind = "memlock", .meanwhile = kSimulated};
  finding.cause = absl::StrCat(
      "this user may lock ", machine.memlock_soft / kMiB,
      " MiB of memory; the rings and the session of one NIC take up to ",
      kNeededBytes / kMiB, " MiB");
  if (machine.memlock_hard >= kNeededBytes) {
    finding.remedy = absl::StrCat("`ulimit -l ", kNeededBytes / 1024,
                                  "` in the shell that starts Bulkhead");
    finding.fix = Fix::kRaiseMemlock;
  } else {
    finding.remedy =
        "as root: `echo '* - memlock unlimited' > "
        "/etc/security/limits.d/bulkhead.conf`, then log in again";
  }
  report->findings.push_back(std::move(finding));
}

}  // namespace

Report ExamineMachine(const Machine& machine) {
  Report report;
  report.title = "this machine";
  CheckIommu(machine, &report);
  if (!machine.groups.empty()) CheckInterrupts(machine, &report);
  CheckVfio(machine, &report);
  CheckUser(machine, &report);
  return report;
}

}  // namespace bulkhead::doctor
