#include "nic_driver/virtio_net/pci_structures.h"

#include <cstring>

#include "absl/strings/str_cat.h"

namespace bulkhead::nic_driver::virtio_net {
namespace {

constexpr size_t kStatusByte = 0x06;
constexpr uint8_t kHasCapabilities = 1 << 4;
constexpr size_t kCapabilities = 0x34;
constexpr uint8_t kVendorSpecific = 0x09;
// Of a virtio capability.
constexpr uint8_t kCapBytes = 16;
constexpr uint8_t kNotifyCapBytes = 20;
constexpr uint8_t kCommonType = 1;
constexpr uint8_t kNotifyType = 2;
constexpr uint8_t kDeviceType = 4;
constexpr uint8_t kLastBar = 5;
// Up to QUEUE_DEVICE; what a device without F_RING_RESET must have.
constexpr uint32_t kMinCommonBytes = 0x38;
// Up to the MAC address and the link's status.
constexpr uint32_t kMinDeviceBytes = 8;
// No structure lies further into a BAR than any NIC's BAR is long.
constexpr uint32_t kMaxOffset = 1u << 28;

uint32_t Load32(std::span<const uint8_t, 256> config, size_t at) {
  uint32_t value;
  std::memcpy(&value, config.data() + at, sizeof(value));
  return value;
}

absl::Status Missing(const char* what) {
  return absl::FailedPreconditionError(
      absl::StrCat("attach: the device has no usable ", what,
                   " structure; it is no modern virtio device: start it with "
                   "disable-modern=off"));
}

}  // namespace

absl::StatusOr<PciStructures> FindPciStructures(
    std::span<const uint8_t, 256> config) {
  PciStructures found;
  if ((config[kStatusByte] & kHasCapabilities) == 0) return Missing("PCI");
  size_t at = config[kCapabilities] & 0xfc;
  // There is room for 48 capabilities: a list that loops ends here, too.
  for (int seen = 0; seen < 48 && at >= 0x40; ++seen) {
    const uint8_t next = config[at + 1] & 0xfc;
    const uint8_t bytes = config[at + 2];
    const uint8_t type = config[at + 3];
    if (config[at] == kVendorSpecific && bytes >= kCapBytes &&
        at + bytes <= config.size()) {
      const Structure structure = {config[at + 4], Load32(config, at + 8),
                                   Load32(config, at + 12)};
      Structure* const slot = type == kCommonType   ? &found.common
                              : type == kNotifyType ? &found.notify
                              : type == kDeviceType ? &found.device
                                                    : nullptr;
      // 4.1.4.1: BARs above 5 are reserved, and passed over.
      if (slot != nullptr && slot->bytes == 0 && structure.bar <= kLastBar &&
          structure.offset < kMaxOffset && structure.bytes < kMaxOffset) {
        if (type != kNotifyType) {
          *slot = structure;
        } else if (bytes >= kNotifyCapBytes) {
          *slot = structure;
          found.notify_multiplier = Load32(config, at + kCapBytes);
        }
      }
    }
    at = next;
  }
  if (found.common.bytes < kMinCommonBytes) return Missing("common");
  if (found.notify.bytes < 2) return Missing("notify");
  if (found.device.bytes < kMinDeviceBytes) return Missing("device");
  return found;
}

}  // namespace bulkhead::nic_driver::virtio_net
