// A NIC that can be granted, whatever bus it is on.
#ifndef BULKHEAD_PLATFORM_SERVICE_DEVICES_NIC_H_
#define BULKHEAD_PLATFORM_SERVICE_DEVICES_NIC_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "platform_service/devices/device_owner.h"
#include "platform_service/devices/driver_bus.h"

namespace bulkhead::platform {

class Nic {
 public:
  virtual ~Nic() = default;

  // Null while the device is not there. A device that comes back is another
  // object, with an empty container.
  virtual DeviceOwner* device() = 0;
  // Why there is no device, for people; empty when there is one.
  virtual const std::string& down_reason() const = 0;

  // A new way to the device for a driver. Does not wait.
  virtual absl::StatusOr<std::unique_ptr<DriverBus>> MakeDriverBus() = 0;

  // Of a Linux interface: what its driver is told when it changes. Null for any
  // other.
  virtual const InterfaceState* interface_state() const { return nullptr; }
  // How frames get to it and from it, for people; empty: by DMA.
  virtual std::string Mode() const { return ""; }
  // Gets ready what AddToSession of its device will add, where that may have to
  // wait for what an earlier driver had. Unavailable: it has to; ask again
  // soon. Any other error is the device's.
  virtual absl::Status PrepareSession(const SessionMemory&) {
    return absl::OkStatus();
  }
  // What of an instance's configuration the platform service sees to.
  virtual void Configure(const NicConfig&) {}

  // Work is waiting for the NIC: if it hangs, that matters from now on.
  virtual void Attend() {}

  // The device misbehaved: takes it out of service. device() is null when this
  // returns, and whoever uses the NIC was told.
  virtual void Fail(const absl::Status& why) = 0;
};

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_DEVICES_NIC_H_
