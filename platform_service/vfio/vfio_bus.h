// A driver's own descriptor of a real NIC, and where its BARs are in it.
#ifndef BULKHEAD_PLATFORM_SERVICE_VFIO_VFIO_BUS_H_
#define BULKHEAD_PLATFORM_SERVICE_VFIO_VFIO_BUS_H_

#include <array>
#include <string>
#include <utility>

#include "base/unique_fd.h"
#include "platform_service/devices/driver_bus.h"
#include "platform_service/vfio/vfio_device_fd.h"

namespace bulkhead::platform {

// The pages of its MSI-X vectors are left out of the grant. That binds a driver
// that means well: the descriptor would map them all the same, as any of the
// device's BARs. What a card then writes as an interrupt is held to the vectors
// that are its own by the IOMMU (VT-d specification, chapter 5; without
// remapping no card is taken), and what is blocked is told like any other
// access (KernelLog).
class VfioBus final : public DriverBus {
 public:
  VfioBus(UniqueFd device, const std::array<VfioRegion, 6>& bars,
          std::string config_space)
      : device_(std::move(device)),
        bars_(bars),
        config_space_(std::move(config_space)) {}

  absl::Status Prepare() override { return absl::OkStatus(); }
  void AddTo(DeviceGrant* grant, FdList* fds) override;

 private:
  UniqueFd device_;
  std::array<VfioRegion, 6> bars_;
  std::string config_space_;
};

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_VFIO_VFIO_BUS_H_
