#include "platform_service/pci/config_space.h"

#include <algorithm>
#include <bitset>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace bulkhead::pci {
namespace {

// PCI Express Base Specification, 7.5.1: the common header.
constexpr size_t kStatus = 0x06;
constexpr uint16_t kStatusCapabilities = 1 << 4;
constexpr size_t kHeaderType = 0x0e;
constexpr size_t kCapabilityPointer = 0x34;
constexpr size_t kHeaderBytes = 0x40;
// 7.6.3: an extended capability's id and version, then its successor.
constexpr uint16_t kSerialNumberId = 0x0003;
constexpr size_t kSerialNumberBytes = 12;
// 256 TiB: what the address lines of a machine can tell apart.
constexpr uint64_t kMaxBarBytes = uint64_t{1} << 48;

uint32_t Read32(absl::Span<const uint8_t> config, size_t at) {
  return config[at] | config[at + 1] << 8 | config[at + 2] << 16 |
         static_cast<uint32_t>(config[at + 3]) << 24;
}

bool AllOnes(absl::Span<const uint8_t> config) {
  return !config.empty() && std::all_of(config.begin(), config.end(),
                                        [](uint8_t b) { return b == 0xff; });
}

// Calls visit(offset, id) for each extended capability, each once. Returns what
// is wrong with the list, or empty.
template <typename Visit>
std::string WalkExtended(absl::Span<const uint8_t> config, Visit visit) {
  std::bitset<kExtendedBytes / 4> seen;
  size_t at = kConventionalBytes;
  while (at != 0) {
    if (at < kConventionalBytes) {
      return absl::StrFormat(
          "extended capability list points into the header, to 0x%x", at);
    }
    if (at + 4 > std::min(config.size(), kExtendedBytes)) return "";
    if (seen[at / 4]) {
      return absl::StrFormat("extended capability list loops at 0x%x", at);
    }
    seen[at / 4] = true;
    const uint32_t header = Read32(config, at);
    // 0: the list ends; all ones: nothing answers there.
    if (header == 0 || header == 0xffffffff) return "";
    visit(at, static_cast<uint16_t>(header));
    at = header >> 20 & 0xffc;
  }
  return "";
}

// What is wrong with the conventional capability list, or empty.
std::string WalkConventional(absl::Span<const uint8_t> config) {
  if (config.size() < kHeaderBytes ||
      (config[kStatus] & kStatusCapabilities) == 0) {
    return "";
  }
  std::bitset<kConventionalBytes> seen;
  size_t at = config[kCapabilityPointer] & 0xfc;
  while (at != 0) {
    if (at < kHeaderBytes) {
      return absl::StrFormat("capability list points into the header, to 0x%x",
                             at);
    }
    if (at + 2 > config.size()) return "";  // Not readable without root.
    if (seen[at]) {
      return absl::StrFormat("capability list loops at 0x%x", at);
    }
    seen[at] = true;
    if (config[at] == 0xff) {
      return absl::StrFormat("capability list ends in nothing at 0x%x", at);
    }
    at = config[at + 1] & 0xfc;
  }
  return "";
}

}  // namespace

std::string SerialNumber(absl::Span<const uint8_t> config) {
  std::string serial;
  WalkExtended(config, [&](size_t at, uint16_t id) {
    if (id != kSerialNumberId || !serial.empty() ||
        at + kSerialNumberBytes > config.size()) {
      return;
    }
    for (size_t i = kSerialNumberBytes - 1; i >= 4; --i) {
      absl::StrAppend(&serial, serial.empty() ? "" : "-",
                      absl::StrFormat("%02x", config[at + i]));
    }
  });
  return serial;
}

std::vector<std::string> ConfigOddities(absl::Span<const uint8_t> config) {
  if (AllOnes(config)) {
    return {"config space reads as all ones: the device does not answer"};
  }
  std::vector<std::string> found;
  if (config.size() > kHeaderType && (config[kHeaderType] & 0x7f) > 2) {
    found.push_back(absl::StrFormat("unknown header type 0x%02x",
                                    config[kHeaderType] & 0x7f));
  }
  if (std::string why = WalkConventional(config); !why.empty()) {
    found.push_back(std::move(why));
  }
  if (std::string why = WalkExtended(config, [](size_t, uint16_t) {});
      !why.empty()) {
    found.push_back(std::move(why));
  }
  return found;
}

std::vector<std::string> BarOddities(const std::array<uint64_t, 6>& bar_bytes) {
  std::vector<std::string> found;
  for (size_t i = 0; i < bar_bytes.size(); ++i) {
    const uint64_t bytes = bar_bytes[i];
    if (bytes == 0) continue;
    if ((bytes & (bytes - 1)) != 0) {
      found.push_back(absl::StrFormat(
          "BAR%d has 0x%x bytes, which is no power of two", i, bytes));
    } else if (bytes > kMaxBarBytes) {
      found.push_back(absl::StrFormat(
          "BAR%d has 0x%x bytes, more than any machine can address", i, bytes));
    }
  }
  return found;
}

}  // namespace bulkhead::pci
