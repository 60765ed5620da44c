#include "platform_service/vfio/vfio_bus.h"

#include "base/shared_memory.h"

namespace bulkhead::platform {

void VfioBus::AddTo(DeviceGrant* grant, FdList* fds) {
  DeviceGrant::VfioBus* bus = grant->mutable_vfio();
  bus->set_device_fd(fds->Own(std::move(device_)));
  for (size_t i = 0; i < bars_.size(); ++i) {
    const VfioRegion& region = bars_[i];
    // What is smaller than a page, or an I/O port range, is not mapped.
    if (!region.mappable || region.bytes < kPageBytes) continue;
    DeviceGrant::VfioBus::Bar* bar = bus->add_bar();
    bar->set_index(static_cast<uint32_t>(i));
    bar->set_offset(region.offset);
    bar->set_bytes(region.bytes);
  }
  bus->set_config_space(std::move(config_space_));
}

}  // namespace bulkhead::platform
