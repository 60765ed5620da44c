#include "clients/bulkhead/local_machine.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/errno_status.h"

namespace bulkhead::cli {

absl::StatusOr<doctor::Machine> ExamineLocal(const std::string& root,
                                             const Console& console) {
  // "/" is this machine as well.
  std::string folder = root;
  while (!folder.empty() && folder.back() == '/') folder.pop_back();
  ASSIGN_OR_RETURN(doctor::Machine machine, doctor::Examine(folder));
  for (const std::string& warning : machine.warnings) console.Warn(warning);
  return machine;
}

std::string AddressOf(const doctor::Machine& machine, const std::string& text) {
  const std::string lower = absl::AsciiStrToLower(text);
  for (const pci::PciDeviceInfo& device : machine.devices) {
    if (device.address == lower || device.address == "0000:" + lower ||
        std::count(device.interfaces.begin(), device.interfaces.end(), text) !=
            0) {
      return device.address;
    }
  }
  return text;
}

absl::Status NoSuchDevice(const doctor::Machine& machine,
                          const std::string& text) {
  std::vector<std::string> nics;
  for (const pci::PciDeviceInfo& device : machine.devices) {
    if (device.class_code >> 16 == 0x02) nics.push_back(device.address);
  }
  return absl::NotFoundError(absl::StrCat(
      "there is no device ", text, "; ",
      nics.empty()
          ? "this machine has no network card"
          : absl::StrCat("its network cards are ", absl::StrJoin(nics, ", "))));
}

}  // namespace bulkhead::cli
