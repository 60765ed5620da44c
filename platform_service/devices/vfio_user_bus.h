// A driver's own connection to a simulated NIC.
#ifndef BULKHEAD_PLATFORM_SERVICE_DEVICES_VFIO_USER_BUS_H_
#define BULKHEAD_PLATFORM_SERVICE_DEVICES_VFIO_USER_BUS_H_

#include <utility>
#include <vector>

#include "base/unique_fd.h"
#include "nic_model/vfio_user/client.h"
#include "platform_service/devices/driver_bus.h"

namespace bulkhead::platform {

class VfioUserBus final : public DriverBus {
 public:
  explicit VfioUserBus(UniqueFd socket) : socket_(std::move(socket)) {}

  // Exchanges versions and asks for BAR 0's doorbells.
  absl::Status Prepare() override;
  void AddTo(DeviceGrant* grant, FdList* fds) override;

 private:
  UniqueFd socket_;
  bool negotiated_ = false;
  std::vector<vfio_user::Doorbell> doorbells_;
};

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_DEVICES_VFIO_USER_BUS_H_
