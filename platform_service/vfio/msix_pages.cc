#include "platform_service/vfio/msix_pages.h"

#include <algorithm>

#include "base/shared_memory.h"

namespace bulkhead::platform {
namespace {

constexpr size_t kStatus = 0x06;
constexpr uint32_t kStatusCapabilities = 1 << 4;
constexpr size_t kCapabilityPointer = 0x34;
constexpr size_t kHeaderBytes = 0x40;
constexpr size_t kConventionalBytes = 0x100;
constexpr uint32_t kMsixCapability = 0x11;
constexpr size_t kMsixBytes = 12;
// As many as there is room for: a longer list is a loop.
constexpr int kMostCapabilities = 48;

uint32_t Read(absl::string_view config, size_t at, int width) {
  uint32_t value = 0;
  for (int i = width - 1; i >= 0; --i) {
    value = value << 8 | static_cast<uint8_t>(config[at + i]);
  }
  return value;
}

// "Offset" and "BIR" in one register: the BAR is in the lowest three bits.
MsixPlace PlaceOf(uint32_t value) { return {value & 7, value & ~uint32_t{7}}; }

}  // namespace

std::vector<MsixPlace> FindMsix(absl::string_view config) {
  config = config.substr(0, kConventionalBytes);
  if (config.size() < kHeaderBytes ||
      (Read(config, kStatus, 2) & kStatusCapabilities) == 0) {
    return {};
  }
  size_t at = Read(config, kCapabilityPointer, 1) & 0xfc;
  for (int i = 0; i < kMostCapabilities && at >= kHeaderBytes &&
                  at + kMsixBytes <= config.size();
       ++i) {
    if (Read(config, at, 1) == kMsixCapability) {
      return {PlaceOf(Read(config, at + 4, 4)),
              PlaceOf(Read(config, at + 8, 4))};
    }
    at = Read(config, at + 1, 1) & 0xfc;
  }
  return {};
}

uint64_t BytesBeforeMsix(uint32_t bar, uint64_t bar_bytes,
                         const std::vector<MsixPlace>& places) {
  uint64_t bytes = bar_bytes;
  for (const MsixPlace& place : places) {
    if (place.bar == bar) bytes = std::min(bytes, place.offset);
  }
  return bytes / kPageBytes * kPageBytes;
}

}  // namespace bulkhead::platform
