// Builds the bundle of capabilities that one generation of a driver gets.
#ifndef BULKHEAD_PLATFORM_SERVICE_INSTANCES_DEVICE_GRANT_H_
#define BULKHEAD_PLATFORM_SERVICE_INSTANCES_DEVICE_GRANT_H_

#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "platform_service/api/driver.pb.h"
#include "platform_service/devices/driver_bus.h"
#include "platform_service/instances/ring_memory.h"
#include "platform_service/parking/parking_lot.h"
#include "platform_service/pci/device.h"
#include "platform_service/policy/scenario.h"

namespace bulkhead::platform {

struct GrantParts {
  const pci::PciDeviceInfo& pci;
  const policy::NicConfigSpec& config;
  uint32_t queues;
  DriverBus& bus;
  UniqueFd channel;  // The driver's end of the platform channel.
  int counters_fd;
  const std::vector<UniqueFd>& irqs;
  const std::vector<RingMemory::Area>& prepared;
};

// Everything but the sessions, which the caller adds. Descriptors that `parts`
// does not own must live until the grant is sent.
DeviceGrant MakeDeviceGrant(GrantParts parts, FdList* fds);

NicConfig MakeNicConfig(const policy::NicConfigSpec& config);

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_INSTANCES_DEVICE_GRANT_H_
