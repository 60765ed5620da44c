// One generation's own way to its device, as the grant describes it: a
// vfio-user connection, or a VFIO device descriptor.
#ifndef BULKHEAD_PLATFORM_SERVICE_DEVICES_DRIVER_BUS_H_
#define BULKHEAD_PLATFORM_SERVICE_DEVICES_DRIVER_BUS_H_

#include "absl/status/status.h"
#include "platform_service/api/driver.pb.h"
#include "platform_service/parking/parking_lot.h"

namespace bulkhead::platform {

// BARs and interrupts only (S3).
class DriverBus {
 public:
  virtual ~DriverBus() = default;

  // What the driver would have to wait for; done ahead, while there is time. On
  // an error the bus is of no further use.
  virtual absl::Status Prepare() = 0;
  // Once, in place of keeping it.
  virtual void AddTo(DeviceGrant* grant, FdList* fds) = 0;
};

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_DEVICES_DRIVER_BUS_H_
