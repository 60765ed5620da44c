#include "platform_service/pci/enumerate.h"

#include <dirent.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <mutex>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/errno_status.h"
#include "base/unique_fd.h"
#include "platform_service/pci/config_space.h"
#include "platform_service/pci/host_network.h"
#include "platform_service/pci/libpci_access.h"
#include "platform_service/pci/recorded_dump.h"

namespace bulkhead::pci {
namespace {

constexpr int kWanted = PCI_FILL_IDENT | PCI_FILL_CLASS | PCI_FILL_CLASS_EXT |
                        PCI_FILL_SUBSYS | PCI_FILL_BASES | PCI_FILL_SIZES |
                        PCI_FILL_PHYS_SLOT | PCI_FILL_LABEL | PCI_FILL_DRIVER |
                        PCI_FILL_IOMMU_GROUP | PCI_FILL_NUMA_NODE;

// As much of the config space as may be read, from its start: 64 bytes without
// root, 256 of a conventional device, and what was recorded of a recorded one.
std::vector<uint8_t> ReadConfig(LibpciAccess* access, pci_dev* device) {
  std::array<uint8_t, kExtendedBytes> bytes;
  size_t have = 0;
  auto read_to = [&](size_t end) {
    int read = 0;
    absl::Status status = access->Guard("read a config space", [&] {
      read = pci_read_block(device, static_cast<int>(have), bytes.data() + have,
                            static_cast<int>(end - have));
    });
    if (!status.ok() || read == 0) return false;
    have = end;
    return true;
  };
  constexpr size_t kLineBytes = 16;  // Of a dump.
  if (read_to(64) && read_to(kConventionalBytes) && !read_to(kExtendedBytes)) {
    while (have < kExtendedBytes && read_to(have + kLineBytes)) {
    }
  }
  return {bytes.begin(), bytes.begin() + have};
}

std::string StringProperty(LibpciAccess* access, pci_dev* device, u32 which) {
  const char* value = nullptr;
  absl::Status status = access->Guard("read a property", [&] {
    value = pci_get_string_property(device, which);
  });
  return status.ok() && value != nullptr ? value : "";
}

std::string AddressOf(const pci_dev* device) {
  return absl::StrFormat("%04x:%02x:%02x.%x",
                         static_cast<unsigned>(device->domain), device->bus,
                         device->dev, device->func);
}

PciDeviceInfo Describe(LibpciAccess* access, pci_dev* device, Source source) {
  PciDeviceInfo info;
  info.source = source;
  info.address = AddressOf(device);
  absl::Status filled =
      access->Guard("read a device", [&] { pci_fill_info(device, kWanted); });
  if (!filled.ok()) {
    info.oddities.emplace_back(filled.message());
    return info;
  }
  info.vendor = device->vendor_id;
  info.device = device->device_id;
  info.class_code =
      static_cast<uint32_t>(device->device_class) << 8 | device->prog_if;
  info.revision = device->rev_id;
  // What libpci could not read it leaves at all ones.
  if (device->subsys_vendor_id != 0xffff) {
    info.subsystem_vendor = device->subsys_vendor_id;
    info.subsystem_device = device->subsys_id;
  }
  if (device->phy_slot != nullptr) info.slot = device->phy_slot;
  if (source == Source::kSysfs) {
    info.kernel_driver = StringProperty(access, device, PCI_FILL_DRIVER);
    const std::string group =
        StringProperty(access, device, PCI_FILL_IOMMU_GROUP);
    if (!group.empty()) info.iommu_group = atoi(group.c_str());
    info.numa_node = device->numa_node;
  }
  if (source == Source::kSimulated && device->label != nullptr) {
    // libpci keeps the newline that ends the file.
    info.name = std::string(absl::StripAsciiWhitespace(device->label));
  }
  const std::vector<uint8_t> config = ReadConfig(access, device);
  info.serial = SerialNumber(config);
  info.oddities = ConfigOddities(config);
  std::array<uint64_t, 6> bars;
  std::copy_n(device->size, bars.size(), bars.begin());
  for (std::string& oddity : BarOddities(bars)) {
    info.oddities.push_back(std::move(oddity));
  }
  return info;
}

// `only`: at these addresses; null: all.
absl::StatusOr<BusListing> List(unsigned method, const std::string& parameter,
                                const std::string& value, Source source,
                                const std::set<std::string>* only = nullptr) {
  LibpciAccess access;
  RETURN_IF_ERROR(access.Configure(method, parameter, value));
  RETURN_IF_ERROR(access.Scan());
  BusListing listing;
  for (pci_dev* device = access.get()->devices; device != nullptr;
       device = device->next) {
    if (only != nullptr && only->count(AddressOf(device)) == 0) continue;
    listing.devices.push_back(Describe(&access, device, source));
  }
  std::sort(listing.devices.begin(), listing.devices.end(),
            [](const PciDeviceInfo& a, const PciDeviceInfo& b) {
              return a.address < b.address;
            });
  listing.warnings = access.warnings();
  return listing;
}

// libpci ends over a folder that is missing or holds anything but devices, so
// this is looked at beforehand.
absl::Status CheckTree(const std::string& devices) {
  struct CloseFolder {
    void operator()(DIR* open) const { closedir(open); }
  };
  std::unique_ptr<DIR, CloseFolder> open(opendir(devices.c_str()));
  if (open == nullptr) {
    return ErrnoStatus(absl::StrCat("cannot list PCI devices in ", devices));
  }
  while (const dirent* entry = readdir(open.get())) {
    if (entry->d_name[0] == '.' || IsPciAddress(entry->d_name)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("cannot list PCI devices in ", devices, ": `",
                     entry->d_name, "` is no device; remove it"));
  }
  return absl::OkStatus();
}

absl::StatusOr<BusListing> ListTree(
    const std::string& path, Source source,
    const std::set<std::string>* only = nullptr) {
  RETURN_IF_ERROR(CheckTree(path + "/devices"));
  return List(PCI_ACCESS_SYS_BUS_PCI, "sysfs.path", path, source, only);
}

bool IsNetworkClass(const PciDeviceInfo& device) {
  return device.class_code >> 16 == 0x02;
}

// S9: what the machine needs the device for.
void FillUse(const std::vector<HostInterface>& interfaces,
             PciDeviceInfo* device) {
  for (const HostInterface& interface : interfaces) {
    if (interface.pci_address != device->address) continue;
    device->interfaces.push_back(interface.name);
  }
  device->used_by = WhyUsed(interfaces, device->address,
                            IsNetworkClass(*device), device->kernel_driver);
}

// pci.ids, read once. Never freed: it lives as long as the process.
class IdNames {
 public:
  static IdNames& Get() {
    static IdNames* const names = new IdNames();
    return *names;
  }

  void Fill(PciDeviceInfo* device) {
    const std::lock_guard<std::mutex> lock(mutex_);
    device->vendor_name = Look(PCI_LOOKUP_VENDOR, device->vendor, 0);
    device->device_name =
        Look(PCI_LOOKUP_DEVICE, device->vendor, device->device);
    device->class_name = Look(PCI_LOOKUP_CLASS, device->class_code >> 8, 0);
  }

 private:
  std::string Look(int kind, int first, int second) {
    // Not over the network, and not by way of udev's database.
    const int flags = kind | PCI_LOOKUP_NO_NUMBERS | PCI_LOOKUP_NO_HWDB;
    std::array<char, 256> buffer;
    const char* name = nullptr;
    absl::Status status = access_.Guard("look up a name", [&] {
      name = pci_lookup_name(access_.get(), buffer.data(), buffer.size(), flags,
                             first, second);
    });
    return status.ok() && name != nullptr ? name : "";
  }

  std::mutex mutex_;
  LibpciAccess access_;
};

void FillAllNames(BusListing* listing) {
  for (PciDeviceInfo& device : listing->devices) FillNames(&device);
}

}  // namespace

absl::StatusOr<BusListing> EnumerateMachine(const std::string& root) {
  auto listing = ListTree(root + "/sys/bus/pci", Source::kSysfs);
  if (!listing.ok()) return listing.status();
  const std::vector<HostInterface> interfaces =
      ReadHostNetwork(root + "/sys", root + "/proc");
  for (PciDeviceInfo& device : listing->devices) FillUse(interfaces, &device);
  FillAllNames(&*listing);
  return listing;
}

absl::StatusOr<BusListing> EnumerateSimulated(const std::string& path) {
  return ListTree(path, Source::kSimulated);
}

absl::StatusOr<BusListing> EnumerateSimulated(
    const std::string& path, const std::set<std::string>& addresses) {
  return ListTree(path, Source::kSimulated, &addresses);
}

absl::StatusOr<BusListing> EnumerateRecorded(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadDump(path));
  // libpci reads a copy, so that it sees the very text that was checked.
  UniqueFd copy(memfd_create("recorded_dump", MFD_CLOEXEC));
  if (!copy.valid()) return ErrnoStatus("cannot create memory for a dump");
  for (size_t done = 0; done < text.size();) {
    const ssize_t wrote =
        write(copy.get(), text.data() + done, text.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return ErrnoStatus("cannot copy a recorded dump");
    done += static_cast<size_t>(wrote);
  }
  auto listing =
      List(PCI_ACCESS_DUMP, "dump.name",
           absl::StrCat("/proc/self/fd/", copy.get()), Source::kRecorded);
  if (!listing.ok()) return listing.status();
  FillAllNames(&*listing);
  return listing;
}

void FillNames(PciDeviceInfo* device) { IdNames::Get().Fill(device); }

}  // namespace bulkhead::pci
