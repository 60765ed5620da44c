#include "nic_driver/framework/vfio_device.h"

#include <bit>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"

namespace bulkhead::nic_driver {

// PCIe is little-endian. BARs are mapped uncached, and x86-64 keeps its stores
// in order, to memory and to devices alike; release and acquire below keep the
// compiler from changing that.
static_assert(std::endian::native == std::endian::little);

absl::StatusOr<std::unique_ptr<VfioDevice>> VfioDevice::Create(
    VfioGrant grant) {
  std::unique_ptr<VfioDevice> device(new VfioDevice);
  device->config_space_ = std::move(grant.config_space);
  for (const VfioGrant::Bar& bar : grant.bars) {
    absl::StatusOr<Mapping> mapped = Mapping::MapAny(
        grant.device.get(), bar.offset, bar.bytes, Access::kReadWrite);
    if (!mapped.ok()) {
      return absl::Status(mapped.status().code(),
                          absl::StrCat("map BAR ", bar.index, " of ", bar.bytes,
                                       " bytes: ", mapped.status().message()));
    }
    device->bars_[bar.index] = *std::move(mapped);
  }
  // The mappings keep the device open; the descriptor goes with `grant`.
  return device;
}

template <typename T>
volatile T* VfioDevice::At(int bar, uint32_t offset) const {
  const Mapping& mapping = bars_[bar];
  if (uint64_t{offset} + sizeof(T) > mapping.bytes()) return nullptr;
  return mapping.As<volatile T>(offset);
}

// Acquire: what the device wrote to memory before it answered is seen by what
// follows.
template <typename T>
T VfioDevice::Load(int bar, uint32_t offset) const {
  const volatile T* const at = At<T>(bar, offset);
  if (at == nullptr) return static_cast<T>(~T{0});
  return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

// Release: descriptors written before are seen by a device that sees the
// doorbell; it pairs with the device's fetch of the descriptor.
template <typename T>
void VfioDevice::Store(int bar, uint32_t offset, T value) {
  volatile T* const at = At<T>(bar, offset);
  if (at != nullptr) __atomic_store_n(at, value, __ATOMIC_RELEASE);
}

uint32_t VfioDevice::Read32(int bar, uint32_t offset) {
  constexpr uint32_t kAllOnes = ~uint32_t{0};
  const uint32_t value = Load<uint32_t>(bar, offset);
  if (value == kAllOnes && !gone_) {
    gone_ = bars_[bar].valid() && Load<uint32_t>(bar, 0) == kAllOnes;
  }
  return value;
}

void VfioDevice::Write32(int bar, uint32_t offset, uint32_t value) {
  Store(bar, offset, value);
}

uint32_t VfioDevice::Read(int bar, uint32_t offset, int width) {
  if (width == 1) return Load<uint8_t>(bar, offset);
  if (width == 2) return Load<uint16_t>(bar, offset);
  return Read32(bar, offset);
}

void VfioDevice::Write(int bar, uint32_t offset, int width, uint32_t value) {
  if (width == 1) return Store(bar, offset, static_cast<uint8_t>(value));
  if (width == 2) return Store(bar, offset, static_cast<uint16_t>(value));
  Store(bar, offset, value);
}

absl::StatusOr<uint32_t> VfioDevice::ReadConfig(uint32_t offset, int width) {
  if (width != 1 && width != 2 && width != 4) {
    return absl::InvalidArgumentError(absl::StrCat(
        "read config space: a width of ", width, " bytes; use 1, 2 or 4"));
  }
  if (uint64_t{offset} + width > config_space_.size()) {
    return absl::OutOfRangeError(absl::StrCat("read config space: ", width,
                                              " bytes at ", offset, " of ",
                                              config_space_.size()));
  }
  uint32_t value = 0;
  std::memcpy(&value, config_space_.data() + offset, width);
  return value;
}

}  // namespace bulkhead::nic_driver
