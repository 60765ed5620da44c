#include "platform_service/vfio/vfio_bus.h"

#include <vector>

#include "platform_service/vfio/msix_pages.h"

namespace bulkhead::platform {

void VfioBus::AddTo(DeviceGrant* grant, FdList* fds) {
  DeviceGrant::VfioBus* bus = grant->mutable_vfio();
  bus->set_device_fd(fds->Own(std::move(device_)));
  const std::vector<MsixPlace> vectors = FindMsix(config_space_);
  for (uint32_t i = 0; i < bars_.size(); ++i) {
    const VfioRegion& region = bars_[i];
    const uint64_t bytes = BytesBeforeMsix(i, region.bytes, vectors);
    // What is smaller than a page, or an I/O port range, is not mapped.
    if (!region.mappable || bytes == 0) continue;
    DeviceGrant::VfioBus::Bar* bar = bus->add_bar();
    bar->set_index(i);
    bar->set_offset(region.offset);
    bar->set_bytes(bytes);
  }
  bus->set_config_space(std::move(config_space_));
}

}  // namespace bulkhead::platform
