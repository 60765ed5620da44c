#include "platform_service/pci/simulated_bus.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "base/errno_status.h"
#include "base/unique_fd.h"
#include "platform_service/pci/config_space.h"
#include "platform_service/pci/enumerate.h"

namespace bulkhead::pci {
namespace {

constexpr size_t kHeaderBytes = 64;
constexpr unsigned kSimulatedDomain = 0x1000;
constexpr size_t kBuses = 255;  // 1 to 255; 0 is the root's own.
// include/linux/ioport.h, which sysfs shows: port, memory, 64-bit memory.
constexpr uint64_t kResourceIo = 0x100;
constexpr uint64_t kResourceMemory = 0x200;
constexpr uint64_t kResourceMemory64 = 0x100000;

constexpr const char* kFiles[] = {
    "config",           "vendor", "device", "class",    "subsystem_vendor",
    "subsystem_device", "irq",    "label",  "revision", "resource"};

absl::Status MakeFolder(const std::string& path) {
  if (mkdir(path.c_str(), 0755) == 0 || errno == EEXIST) {
    return absl::OkStatus();
  }
  return ErrnoStatus(absl::StrCat("cannot make the folder ", path));
}

absl::Status WriteFile(const std::string& path, absl::string_view content) {
  UniqueFd fd(open(path.c_str(),
                   O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
                   0644));
  if (!fd.valid()) return ErrnoStatus(absl::StrCat("cannot create ", path));
  while (!content.empty()) {
    const ssize_t wrote = write(fd.get(), content.data(), content.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return ErrnoStatus(absl::StrCat("cannot write ", path));
    content.remove_prefix(static_cast<size_t>(wrote));
  }
  return absl::OkStatus();
}

uint32_t Read(absl::Span<const uint8_t> config, size_t at, size_t bytes) {
  uint32_t value = 0;
  for (size_t i = bytes; i > 0; --i) value = value << 8 | config[at + i - 1];
  return value;
}

// The lines of `resource`: first address, last address, flags.
std::string Resources(absl::Span<const uint8_t> config,
                      const std::array<uint64_t, 6>& bar_bytes) {
  std::string text;
  for (size_t bar = 0; bar < bar_bytes.size(); ++bar) {
    // PCI Express Base Specification, 7.5.1.2.1: BAR0 at 0x10.
    const uint32_t low = Read(config, 0x10 + 4 * bar, 4);
    const bool io = (low & 1) != 0;
    const bool wide = !io && (low & 6) == 4;
    uint64_t start = low & (io ? ~uint32_t{3} : ~uint32_t{15});
    if (wide && bar < 5) {
      start |= uint64_t{Read(config, 0x14 + 4 * bar, 4)} << 32;
    }
    const uint64_t bytes = bar_bytes[bar];
    const uint64_t flags = (io ? kResourceIo : kResourceMemory) |
                           (wide ? kResourceMemory64 : 0) | (low & 15);
    if (bytes == 0) {
      absl::StrAppend(&text,
                      "0x0000000000000000 0x0000000000000000 "
                      "0x0000000000000000\n");
      continue;
    }
    uint64_t last = 0;
    if (__builtin_add_overflow(start, bytes - 1, &last)) last = ~uint64_t{0};
    absl::StrAppend(&text, absl::StrFormat("0x%016x 0x%016x 0x%016x\n", start,
                                           last, flags));
  }
  // The expansion ROM.
  absl::StrAppend(&text,
                  "0x0000000000000000 0x0000000000000000 "
                  "0x0000000000000000\n");
  return text;
}

}  // namespace

std::string SimulatedAddress(size_t index) {
  return absl::StrFormat("%04x:%02x:%02x.0", kSimulatedDomain,
                         1 + index % kBuses, index / kBuses);
}

absl::StatusOr<SimulatedBus> SimulatedBus::Create(const std::string& path) {
  RETURN_IF_ERROR(MakeFolder(path));
  RETURN_IF_ERROR(MakeFolder(path + "/devices"));
  SimulatedBus bus(path);
  struct CloseFolder {
    void operator()(DIR* open) const { closedir(open); }
  };
  std::unique_ptr<DIR, CloseFolder> open(opendir((path + "/devices").c_str()));
  if (open == nullptr) {
    return ErrnoStatus(absl::StrCat("cannot list ", path, "/devices"));
  }
  std::vector<std::string> stale;
  while (const dirent* entry = readdir(open.get())) {
    if (IsPciAddress(entry->d_name)) stale.emplace_back(entry->d_name);
  }
  for (const std::string& address : stale) {
    RETURN_IF_ERROR(bus.Remove(address));
  }
  return bus;
}

absl::Status SimulatedBus::Add(const std::string& address,
                               const std::string& name,
                               absl::Span<const uint8_t> config,
                               const std::array<uint64_t, 6>& bar_bytes) {
  if (!IsPciAddress(address)) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot put `", address, "` on the simulated bus: not a ",
                     "PCI address"));
  }
  if (config.size() < kHeaderBytes || config.size() > kExtendedBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "cannot put ", name, " on the simulated bus: its config space has ",
        config.size(), " bytes instead of 64 to 4096"));
  }
  const std::string folder = absl::StrCat(path_, "/devices/", address, "/");
  RETURN_IF_ERROR(MakeFolder(folder));
  auto hex = [](uint32_t value, int digits) {
    return absl::StrFormat("0x%0*x\n", digits, value);
  };
  const std::pair<const char*, std::string> files[] = {
      {"config", std::string(config.begin(), config.end())},
      {"vendor", hex(Read(config, 0x00, 2), 4)},
      {"device", hex(Read(config, 0x02, 2), 4)},
      {"revision", hex(Read(config, 0x08, 1), 2)},
      {"class", hex(Read(config, 0x09, 3), 6)},
      {"subsystem_vendor", hex(Read(config, 0x2c, 2), 4)},
      {"subsystem_device", hex(Read(config, 0x2e, 2), 4)},
      {"irq", "0\n"},
      {"label", name + "\n"},
      {"resource", Resources(config, bar_bytes)}};
  for (const auto& [file, content] : files) {
    RETURN_IF_ERROR(WriteFile(folder + file, content));
  }
  return absl::OkStatus();
}

absl::Status SimulatedBus::Remove(const std::string& address) {
  if (!IsPciAddress(address)) return absl::OkStatus();
  const std::string folder = absl::StrCat(path_, "/devices/", address);
  for (const char* file : kFiles) unlink((folder + "/" + file).c_str());
  if (rmdir(folder.c_str()) != 0 && errno != ENOENT) {
    return ErrnoStatus(absl::StrCat("cannot remove ", folder));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<PciDeviceInfo>> SimulatedBus::Enumerate() const {
  ASSIGN_OR_RETURN(BusListing listing, EnumerateSimulated(path_));
  return std::move(listing.devices);
}

absl::StatusOr<std::vector<PciDeviceInfo>> SimulatedBus::Enumerate(
    const std::set<std::string>& addresses) const {
  ASSIGN_OR_RETURN(BusListing listing, EnumerateSimulated(path_, addresses));
  return std::move(listing.devices);
}

}  // namespace bulkhead::pci
