#include "platform_service/vfio/vfio_device_fd.h"

#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"

namespace bulkhead::platform {

absl::StatusOr<VfioRegion> VfioDeviceFd::Region(uint32_t index) const {
  vfio_region_info info = {};
  info.argsz = sizeof(info);
  info.index = index;
  if (::ioctl(fd_.get(), VFIO_DEVICE_GET_REGION_INFO, &info) != 0) {
    return ErrnoStatus(absl::StrCat("ask VFIO for region ", index));
  }
  return VfioRegion{info.offset, info.size,
                    (info.flags & VFIO_REGION_INFO_FLAG_MMAP) != 0};
}

absl::StatusOr<uint32_t> VfioDeviceFd::Read(const VfioRegion& region,
                                            uint64_t offset,
                                            uint32_t width) const {
  uint32_t value = 0;
  if (width > sizeof(value) || offset + width > region.bytes) {
    return absl::OutOfRangeError(
        absl::StrCat("read ", width, " bytes of the device at ", offset,
                     ": the region has ", region.bytes));
  }
  const ssize_t got = ::pread(fd_.get(), &value, width,
                              static_cast<off_t>(region.offset + offset));
  if (got != static_cast<ssize_t>(width)) {
    return ErrnoStatus("read the device", got < 0 ? errno : EIO);
  }
  return value;
}

absl::Status VfioDeviceFd::Write(const VfioRegion& region, uint64_t offset,
                                 uint32_t width, uint32_t value) const {
  if (width > sizeof(value) || offset + width > region.bytes) {
    return absl::OutOfRangeError(
        absl::StrCat("write ", width, " bytes of the device at ", offset,
                     ": the region has ", region.bytes));
  }
  const ssize_t put = ::pwrite(fd_.get(), &value, width,
                               static_cast<off_t>(region.offset + offset));
  if (put != static_cast<ssize_t>(width)) {
    return ErrnoStatus("write to the device", put < 0 ? errno : EIO);
  }
  return absl::OkStatus();
}

absl::StatusOr<uint32_t> VfioDeviceFd::IrqCount(uint32_t index) const {
  vfio_irq_info info = {};
  info.argsz = sizeof(info);
  info.index = index;
  if (::ioctl(fd_.get(), VFIO_DEVICE_GET_IRQ_INFO, &info) != 0) {
    // An index that this device does not have.
    if (errno == EINVAL) return 0;
    return ErrnoStatus(absl::StrCat("ask VFIO for interrupts ", index));
  }
  return (info.flags & VFIO_IRQ_INFO_EVENTFD) != 0 ? info.count : 0;
}

absl::Status VfioDeviceFd::SetIrqs(uint32_t index,
                                   std::span<const int> events) const {
  std::vector<uint8_t> message(sizeof(vfio_irq_set) + events.size_bytes());
  auto* set = reinterpret_cast<vfio_irq_set*>(message.data());
  set->argsz = static_cast<uint32_t>(message.size());
  set->flags =
      VFIO_IRQ_SET_ACTION_TRIGGER |
      (events.empty() ? VFIO_IRQ_SET_DATA_NONE : VFIO_IRQ_SET_DATA_EVENTFD);
  set->index = index;
  set->count = static_cast<uint32_t>(events.size());
  if (!events.empty()) {
    std::memcpy(set->data, events.data(), events.size_bytes());
  }
  if (::ioctl(fd_.get(), VFIO_DEVICE_SET_IRQS, set) != 0) {
    return ErrnoStatus(absl::StrCat("arm ", events.size(),
                                    " interrupts of VFIO index ", index));
  }
  return absl::OkStatus();
}

absl::Status VfioDeviceFd::Reset() const {
  if (::ioctl(fd_.get(), VFIO_DEVICE_RESET) != 0) {
    return ErrnoStatus("reset the function");
  }
  return absl::OkStatus();
}

}  // namespace bulkhead::platform
