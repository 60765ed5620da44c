#include "platform_service/vfio/function_taker.h"

#include <fcntl.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/errno_status.h"
#include "base/log.h"
#include "base/unique_fd.h"
#include "platform_service/pci/device.h"
#include "platform_service/pci/iommu_group.h"
#include "platform_service/vfio/unsafe_interrupts.h"

namespace bulkhead::platform {
namespace {

constexpr char kVfioDriver[] = "vfio-pci";

constexpr int kInterfaceTries = 300;
constexpr std::chrono::milliseconds kInterfaceTry{10};

std::string DeviceDir(absl::string_view address) {
  return absl::StrCat("bus/pci/devices/", address);
}

absl::Status Refuse(absl::string_view address, absl::string_view why) {
  return absl::FailedPreconditionError(
      absl::StrCat("take ", address, ": ", why));
}

uint32_t ClassOf(const Sysfs& sysfs, const std::string& address) {
  uint32_t code = 0;
  const auto text = sysfs.Read(DeviceDir(address) + "/class");
  return text.ok() && absl::SimpleHexAtoi(*text, &code) ? code : 0;
}

}  // namespace

// --- Checks ---------------------------------------------------------------

absl::Status FunctionTaker::CheckGroup(const std::string& address) const {
  const std::string group =
      sysfs_->LinkName(DeviceDir(address) + "/iommu_group");
  if (group.empty()) {
    return Refuse(
        address,
        "it has no IOMMU group, so that nothing would bound its DMA; turn on "
        "VT-d or AMD-Vi in the firmware, on Intel's CPUs add `intel_iommu=on` "
        "to the kernel's command line, and start anew; see `bulkhead doctor`");
  }
  const std::string group_dir = absl::StrCat("kernel/iommu_groups/", group);
  if (const auto name = sysfs_->Read(group_dir + "/name");
      name.ok() && *name == "vfio-noiommu") {
    return Refuse(address,
                  "its IOMMU group is of the no-IOMMU mode, in which nothing "
                  "bounds its DMA; turn `enable_unsafe_noiommu_mode` off");
  }
  std::vector<std::string> held;
  for (const std::string& member : sysfs_->List(group_dir + "/devices")) {
    if (member == address) continue;
    if (IsTaken(member)) {
      return Refuse(
          address,
          absl::StrCat("its IOMMU group ", group, " also holds ", member,
                       ", which another instance has: the IOMMU cannot tell "
                       "them apart, so that only one of them can be driven; "
                       "leave one out of the scenario, or move it to another "
                       "slot"));
    }
    const std::string driver = sysfs_->LinkName(DeviceDir(member) + "/driver");
    if (pci::MayStayInGroup(ClassOf(*sysfs_, member), driver)) continue;
    held.push_back(absl::StrCat(member, " (driver ", driver, ")"));
  }
  if (held.empty()) return absl::OkStatus();
  return Refuse(
      address,
      absl::StrCat("its IOMMU group ", group,
                   " has other owners: ", absl::StrJoin(held, ", "),
                   "; what is in one group can reach each other's memory, so "
                   "that it goes to one owner whole: unbind them, or move the "
                   "card to another slot"));
}

absl::Status FunctionTaker::Check(const std::string& address) const {
  if (!pci::IsPciAddress(address) || !sysfs_->Exists(DeviceDir(address))) {
    return absl::NotFoundError(absl::StrCat("take ", address,
                                            ": there is no such PCIe function; "
                                            "see `bulkhead devices`"));
  }
  if (!sysfs_->Exists(absl::StrCat("bus/pci/drivers/", kVfioDriver)) ||
      !sysfs_->Exists("module/vfio_iommu_type1")) {
    return Refuse(address,
                  "the kernel's VFIO is not there; load it with `modprobe -a "
                  "vfio-pci vfio_iommu_type1`");
  }
  if (AllowsUnsafeInterrupts(
          sysfs_->Read(kUnsafeInterruptsFile).value_or(""))) {
    return Refuse(address, absl::StrCat(kUnsafeInterruptsCause, "; mend it by ",
                                        kUnsafeInterruptsRemedy));
  }
  return CheckGroup(address);
}

absl::Status FunctionTaker::CheckUse(const std::string& address,
                                     InUse in_use) const {
  constexpr uint32_t kNetwork = 0x02;
  if (in_use == InUse::kTaken) return absl::OkStatus();
  const std::string why = pci::WhyUsed(
      network_(), address, ClassOf(*sysfs_, address) >> 16 == kNetwork,
      sysfs_->LinkName(DeviceDir(address) + "/driver"));
  if (why.empty()) return absl::OkStatus();
  return Refuse(
      address,
      absl::StrCat("the machine itself uses it: ", why,
                   "; have it do without (`bulkhead doctor ", address,
                   "` says how), or say `take: true` in a rule of its own "
                   "(S9)"));
}

// --- Take -----------------------------------------------------------------

absl::Status FunctionTaker::Unbind(const std::string& address) {
  const std::string driver = sysfs_->LinkName(DeviceDir(address) + "/driver");
  if (driver.empty()) return absl::OkStatus();
  return sysfs_->Write(absl::StrCat("bus/pci/drivers/", driver, "/unbind"),
                       address);
}

absl::Status FunctionTaker::Bind(const std::string& address) {
  RETURN_IF_ERROR(
      sysfs_->Write(DeviceDir(address) + "/driver_override", kVfioDriver));
  RETURN_IF_ERROR(Unbind(address));
  RETURN_IF_ERROR(sysfs_->Write("bus/pci/drivers_probe", address));
  const std::string driver = sysfs_->LinkName(DeviceDir(address) + "/driver");
  if (driver == kVfioDriver) return absl::OkStatus();
  return Refuse(address,
                absl::StrCat("vfio-pci did not bind to it (its driver is ",
                             driver.empty() ? "none" : driver,
                             "); the kernel's log says why"));
}

absl::Status FunctionTaker::Reserve(const std::string& address) {
  RETURN_IF_ERROR(CheckUse(address, InUse::kLeft));
  return sysfs_->Write(DeviceDir(address) + "/driver_override", kVfioDriver);
}

absl::StatusOr<int> FunctionTaker::Take(const std::string& address,
                                        InUse in_use) {
  RETURN_IF_ERROR(Check(address));
  RETURN_IF_ERROR(CheckUse(address, in_use));
  const std::string dir = DeviceDir(address);
  TakenRecord record;
  record.address = address;
  record.driver = sysfs_->LinkName(dir + "/driver");
  if (const auto text = sysfs_->Read(dir + "/driver_override");
      text.ok() && *text != "(null)") {
    record.driver_override = *text;
  }
  if (const auto text = sysfs_->Read(dir + "/reset_method"); text.ok()) {
    record.reset_method = *text;
  }
  RETURN_IF_ERROR(LookAtInterface(&record));
  RETURN_IF_ERROR(Remember(record));
  if (record.driver != kVfioDriver) {
    if (absl::Status bound = Bind(address); !bound.ok()) {
      const absl::Status undone = GiveBack(address);
      if (!undone.ok()) LogError(undone.message());
      return bound;
    }
  }
  int group = 0;
  if (!absl::SimpleAtoi(sysfs_->LinkName(dir + "/iommu_group"), &group)) {
    return absl::InternalError(
        absl::StrCat("take ", address, ": its IOMMU group has no number"));
  }
  return group;
}

// --- Give back ------------------------------------------------------------

absl::Status FunctionTaker::Restore(const TakenRecord& record) {
  const std::string dir = DeviceDir(record.address);
  // A function that was pulled out needs nothing.
  if (!sysfs_->Exists(dir)) return absl::OkStatus();
  // An empty line takes an override away.
  RETURN_IF_ERROR(sysfs_->Write(dir + "/driver_override",
                                absl::StrCat(record.driver_override, "\n")));
  const bool is_back = sysfs_->LinkName(dir + "/driver") == record.driver;
  if (!is_back) {
    RETURN_IF_ERROR(Unbind(record.address));
    Quiet(dir);
  }
  if (!record.reset_method.empty() &&
      sysfs_->Read(dir + "/reset_method").value_or("") != record.reset_method) {
    RETURN_IF_ERROR(sysfs_->Write(dir + "/reset_method", record.reset_method));
  }
  if (is_back) return absl::OkStatus();
  if (record.driver.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(
      sysfs_->Write(absl::StrCat("bus/pci/drivers/", record.driver, "/bind"),
                    record.address));
  RestoreInterface(record);
  return absl::OkStatus();
}

// vfio-pci resets a card that is left to it, but not when it must let go of one
// whose user just died (it cannot have the device's lock then). Such a card is
// in the middle of its rings, and would go on at addresses of ours as soon as
// the kernel's driver makes it a bus master, which is before it resets it.
// Where no reset is known, that driver's own has to do.
void FunctionTaker::Quiet(const std::string& dir) const {
  const std::string methods = sysfs_->Read(dir + "/reset_method").value_or("");
  // `pm` resets nothing on some.
  if (!absl::StrContains(methods, "flr") && absl::StrContains(methods, "bus")) {
    (void)sysfs_->Write(dir + "/reset_method", "bus");
  }
  if (sysfs_->Exists(dir + "/reset")) (void)sysfs_->Write(dir + "/reset", "1");
}

absl::Status FunctionTaker::GiveBack(const std::string& address) {
  ASSIGN_OR_RETURN(const TakenRecord record, Recall(address));
  if (const absl::Status restored = Restore(record); !restored.ok()) {
    return absl::Status(
        restored.code(),
        absl::StrCat("give back ", address, " to ",
                     record.driver.empty() ? "nobody" : record.driver, ": ",
                     restored.message(),
                     "; its record stays, and `bulkhead down` tries again"));
  }
  return Forget(address);
}

// --- The Linux interface --------------------------------------------------

std::string FunctionTaker::InterfaceOf(const std::string& address) const {
  const std::string dir = DeviceDir(address);
  std::vector<std::string> names = sysfs_->List(dir + "/net");
  // A virtio function's interface is one level below.
  for (const std::string& name : sysfs_->List(dir)) {
    if (!names.empty()) break;
    if (!absl::StartsWith(name, "virtio")) continue;
    names = sysfs_->List(absl::StrCat(dir, "/", name, "/net"));
  }
  return names.empty() ? "" : names.front();
}

// The kernel may let a virtio function's second driver come later
// (driver_async_probe).
std::string FunctionTaker::AwaitInterface(const std::string& address) const {
  std::string name = InterfaceOf(address);
  for (int i = 0; i < kInterfaceTries && name.empty(); ++i) {
    std::this_thread::sleep_for(kInterfaceTry);
    name = InterfaceOf(address);
  }
  return name;
}

absl::Status FunctionTaker::LookAtInterface(TakenRecord* record) const {
  record->interface = InterfaceOf(record->address);
  if (record->interface.empty()) return absl::OkStatus();
  auto settings = ReadSettings(record->interface);
  if (!settings.ok()) {
    return Refuse(record->address, absl::StrCat("what its interface is like "
                                                "cannot be written down: ",
                                                settings.status().message()));
  }
  record->settings = *std::move(settings);
  return absl::OkStatus();
}

std::vector<std::string> FunctionTaker::StandsOn(
    const std::string& address) const {
  std::vector<std::string> names;
  for (const pci::HostInterface& interface : network_()) {
    if (interface.pci_address != address) continue;
    for (absl::string_view name : interface.belongs_to) {
      if (absl::ConsumePrefix(&name, "interface ")) names.emplace_back(name);
    }
  }
  return names;
}

// What cannot be restored is said, and is no reason to keep the card.
void FunctionTaker::RestoreInterface(const TakenRecord& record) const {
  if (record.interface.empty()) return;
  const std::string now = AwaitInterface(record.address);
  if (now.empty()) return;
  if (now != record.interface) {
    const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request = {};
    absl::SNPrintF(request.ifr_name, sizeof(request.ifr_name), "%s", now);
    absl::SNPrintF(request.ifr_newname, sizeof(request.ifr_newname), "%s",
                   record.interface);
    if (::ioctl(socket.get(), SIOCSIFNAME, &request) != 0) {
      LogWarning(ErrnoStatus(absl::StrCat("give its old name, ",
                                          record.interface, ", to ", now))
                     .message());
    }
  }
  const absl::Status applied =
      ApplySettings(record.settings, InterfaceOf(record.address));
  if (!applied.ok()) LogWarning(applied.message());
}

// --- Records --------------------------------------------------------------

std::string RecordText(const TakenRecord& record) {
  return absl::StrCat(
      "driver=", record.driver, "\ndriver_override=", record.driver_override,
      "\nreset_method=", record.reset_method, "\ninterface=", record.interface,
      "\n", SettingsText(record.settings));
}

absl::StatusOr<TakenRecord> ParseRecord(const std::string& address,
                                        absl::string_view text) {
  const auto is_word = [](absl::string_view value, bool spaces) {
    return value.size() <= 64 &&
           std::all_of(value.begin(), value.end(), [spaces](char c) {
             return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
                    absl::StrContains("_-.", c) || (spaces && c == ' ');
           });
  };
  TakenRecord record;
  record.address = address;
  constexpr int kMostLines = 1 << 20;
  int known = 0;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    if (line.empty()) continue;
    const std::pair<absl::string_view, absl::string_view> entry =
        absl::StrSplit(line, absl::MaxSplits('=', 1));
    const auto [key, value] = entry;
    std::string* const word = key == "driver"            ? &record.driver
                              : key == "driver_override" ? &record.driver_override
                              : key == "reset_method"    ? &record.reset_method
                              : key == "interface"       ? &record.interface
                                                         : nullptr;
    if (word != nullptr) *word = std::string(value);
    const bool good = word != nullptr
                          ? is_word(value, key == "reset_method")
                          : ParseSetting(key, value, &record.settings);
    // Of the other settings there are as many as there were.
    if (!good) known = -kMostLines;
    if (word != nullptr || key == "interface_up") ++known;
  }
  if (known != 5 || !pci::IsPciAddress(address)) {
    return absl::DataLossError(
        absl::StrCat("read the record of ", address,
                     ": it is no such record; bind the "
                     "function to its driver by hand and remove the file"));
  }
  return record;
}

absl::Status FunctionTaker::Remember(const TakenRecord& record) const {
  // One that is there is of a system that was killed, and tells of the time
  // before it.
  if (Recall(record.address).ok()) return absl::OkStatus();
  if (::mkdir(records_.c_str(), 0700) != 0 && errno != EEXIST) {
    return ErrnoStatus(absl::StrCat("make the directory ", records_));
  }
  const std::string path = absl::StrCat(records_, "/", record.address);
  const std::string fresh = path + ".new";
  const UniqueFd file(
      ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  const std::string text = RecordText(record);
  if (!file.valid() ||
      ::write(file.get(), text.data(), text.size()) !=
          static_cast<ssize_t>(text.size()) ||
      ::fsync(file.get()) != 0 || ::rename(fresh.c_str(), path.c_str()) != 0) {
    return ErrnoStatus(absl::StrCat("write ", path));
  }
  // Nothing is changed that this record could not undo.
  const absl::Status readable = Recall(record.address).status();
  if (!readable.ok()) ::unlink(path.c_str());
  return readable;
}

absl::StatusOr<TakenRecord> FunctionTaker::Recall(
    const std::string& address) const {
  ASSIGN_OR_RETURN(const std::string text, Sysfs(records_).Read(address));
  return ParseRecord(address, text);
}

absl::Status FunctionTaker::Forget(const std::string& address) const {
  const std::string path = absl::StrCat(records_, "/", address);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return ErrnoStatus(absl::StrCat("remove ", path));
  }
  ::rmdir(records_.c_str());  // Stays while there are others.
  return absl::OkStatus();
}

std::string FunctionTaker::OwnerOf(const std::string& address) const {
  const absl::StatusOr<TakenRecord> record = Recall(address);
  return record.ok() ? record->driver : "";
}

std::vector<std::string> FunctionTaker::Taken() const {
  std::vector<std::string> taken;
  for (std::string& name : Sysfs(records_).List("")) {
    if (pci::IsPciAddress(name)) taken.push_back(std::move(name));
  }
  return taken;
}

std::string RecordsOf(const std::string& run_dir) { return run_dir + "/taken"; }

absl::StatusOr<int> GiveBackAll(const std::string& run_dir) {
  FunctionTaker taker(std::make_unique<Sysfs>(), RecordsOf(run_dir));
  absl::Status first;
  int count = 0;
  for (const std::string& address : taker.Taken()) {
    const absl::Status status = taker.GiveBack(address);
    if (status.ok()) ++count;
    first.Update(status);
  }
  if (!first.ok()) return first;
  return count;
}

}  // namespace bulkhead::platform
