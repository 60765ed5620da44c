#include "platform_service/doctor/machine.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/errno_status.h"
#include "platform_service/pci/enumerate.h"
#include "platform_service/vfio/unsafe_interrupts.h"

namespace bulkhead::doctor {
namespace {

namespace fs = std::filesystem;

// linux/capability.h: with it, VFIO does not look at RLIMIT_MEMLOCK
// (drivers/vfio/vfio_iommu_type1.c, vfio_lock_acct).
constexpr int kCapIpcLock = 14;
// VT-d specification 11.4.3: ECAP_REG.IR, interrupt remapping support.
constexpr uint64_t kEcapInterruptRemapping = 1 << 3;

// Files of sysfs and proc are small; what is not there is empty.
std::string ReadText(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string ReadWord(const std::string& path) {
  return std::string(absl::StripAsciiWhitespace(ReadText(path)));
}

std::vector<std::string> Entries(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    names.push_back(it->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool Exists(const std::string& path) {
  std::error_code error;
  return fs::exists(path, error);
}

class Examiner {
 public:
  explicit Examiner(const std::string& root) : root_(root) {}

  absl::StatusOr<Machine> Run() {
    auto listing = pci::EnumerateMachine(root_);
    if (listing.ok()) {
      machine_.devices = std::move(listing->devices);
      machine_.warnings = std::move(listing->warnings);
    } else if (absl::IsNotFound(listing.status())) {
      // Some virtual machines and containers have no PCI bus.
      machine_.warnings.emplace_back(listing.status().message());
    } else {
      return listing.status();
    }
    machine_.command_line = ReadWord(root_ + "/proc/cmdline");
    ReadCpu();
    for (const char* table : {"DMAR", "IVRS", "IORT"}) {
      machine_.firmware_has_iommu |=
          Exists(absl::StrCat(root_, "/sys/firmware/acpi/tables/", table));
    }
    ReadGroups();
    ReadInterruptRemapping();
    ReadVfio();
    ReadUser();
    ReadMemlock();
    return std::move(machine_);
  }

 private:
  // proc_cpuinfo(5).
  void ReadCpu() {
    const std::string text = ReadText(root_ + "/proc/cpuinfo");
    if (absl::StrContains(text, "GenuineIntel")) {
      machine_.cpu = CpuVendor::kIntel;
    } else if (absl::StrContains(text, "AuthenticAMD")) {
      machine_.cpu = CpuVendor::kAmd;
    }
    for (absl::string_view line : absl::StrSplit(text, '\n')) {
      if (!absl::StartsWith(line, "flags")) continue;
      machine_.is_virtual = absl::StrContains(line, " hypervisor");
      break;
    }
  }

  // Documentation/ABI/testing/sysfs-kernel-iommu_groups.
  void ReadGroups() {
    const std::string folder = root_ + "/sys/kernel/iommu_groups";
    for (const std::string& name : Entries(folder)) {
      int number = 0;
      if (!absl::SimpleAtoi(name, &number)) continue;
      IommuGroup& group = machine_.groups[number];
      group.members = Entries(absl::StrCat(folder, "/", name, "/devices"));
      const std::string file = absl::StrCat(root_, "/dev/vfio/", name);
      group.device_file = Exists(file);
      group.accessible = ::access(file.c_str(), R_OK | W_OK) == 0;
    }
    if (machine_.groups.empty()) return;
    for (auto& [number, holders] : platform::ReadGroupHolders(root_)) {
      machine_.groups[number].holders = std::move(holders);
    }
  }

  void ReadInterruptRemapping() {
    const std::string folder = root_ + "/sys/class/iommu";
    for (const std::string& name : Entries(folder)) {
      uint64_t ecap = 0;
      if (!absl::SimpleHexAtoi(
              ReadWord(absl::StrCat(folder, "/", name, "/intel-iommu/ecap")),
              &ecap)) {
        continue;
      }
      const bool supported = (ecap & kEcapInterruptRemapping) != 0;
      machine_.interrupt_remapping =
          machine_.interrupt_remapping.value_or(true) && supported;
    }
    for (absl::string_view word : absl::StrSplit(machine_.command_line, ' ')) {
      if (word == "intremap=off" || word == "nointremap") {
        machine_.interrupt_remapping = false;
      }
    }
  }

  void ReadVfio() {
    machine_.kernel = ReadWord(root_ + "/proc/sys/kernel/osrelease");
    machine_.vfio_loaded = Exists(root_ + "/sys/bus/pci/drivers/vfio-pci");
    machine_.vfio_available =
        machine_.vfio_loaded || ModuleIsInstalled("vfio-pci.ko");
    machine_.container_accessible =
        ::access((root_ + "/dev/vfio/vfio").c_str(), R_OK | W_OK) == 0;
    const std::string modules = root_ + "/sys/module/";
    machine_.unsafe_interrupts_allowed = platform::AllowsUnsafeInterrupts(
        ReadWord(root_ + "/sys/" + platform::kUnsafeInterruptsFile));
    machine_.unsafe_noiommu =
        ReadWord(modules + "vfio/parameters/enable_unsafe_noiommu_mode") == "Y";
  }

  // modules.dep(5): "PATH/NAME.ko[.xz]: …" a line.
  bool ModuleIsInstalled(const std::string& file) const {
    const std::string folder =
        absl::StrCat(root_, "/lib/modules/", machine_.kernel);
    for (const char* list : {"/modules.dep", "/modules.builtin"}) {
      const std::string text = "\n" + ReadText(folder + list);
      for (absl::string_view line : absl::StrSplit(text, '\n')) {
        const absl::string_view path = line.substr(0, line.find(':'));
        const absl::string_view name = path.substr(path.rfind('/') + 1);
        if (absl::StartsWith(name, file)) return true;
      }
    }
    return false;
  }

  // proc_pid_status(5): "Uid: REAL EFFECTIVE SAVED FILESYSTEM".
  void ReadUser() {
    for (absl::string_view line :
         absl::StrSplit(ReadText(root_ + "/proc/self/status"), '\n')) {
      const std::vector<absl::string_view> words =
          absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipWhitespace());
      if (words.size() >= 3 && words[0] == "Uid:") {
        machine_.is_root = words[2] == "0";
      }
      if (words.size() >= 2 && words[0] == "CapEff:" &&
          !absl::SimpleHexAtoi(words[1], &capabilities_)) {
        capabilities_ = 0;
      }
    }
  }

  // proc_pid_limits(5): "Max locked memory  SOFT  HARD  bytes".
  void ReadMemlock() {
    if ((capabilities_ >> kCapIpcLock & 1) != 0) return;
    for (absl::string_view line :
         absl::StrSplit(ReadText(root_ + "/proc/self/limits"), '\n')) {
      if (!absl::ConsumePrefix(&line, "Max locked memory")) continue;
      const std::vector<std::string> words =
          absl::StrSplit(line, ' ', absl::SkipWhitespace());
      if (words.size() < 2) return;
      // "unlimited" is no number, and leaves what stands there.
      uint64_t bytes = 0;
      if (absl::SimpleAtoi(words[0], &bytes)) machine_.memlock_soft = bytes;
      if (absl::SimpleAtoi(words[1], &bytes)) machine_.memlock_hard = bytes;
      return;
    }
  }

  const std::string root_;
  uint64_t capabilities_ = 0;
  Machine machine_;
};

}  // namespace

absl::StatusOr<Machine> Examine(const std::string& root) {
  return Examiner(root).Run();
}

}  // namespace bulkhead::doctor
