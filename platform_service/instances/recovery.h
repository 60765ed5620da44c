// From a driver's death to a device that its successor can start from: steps 2
// and 3 of design §5.
#ifndef BULKHEAD_PLATFORM_SERVICE_INSTANCES_RECOVERY_H_
#define BULKHEAD_PLATFORM_SERVICE_INSTANCES_RECOVERY_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"
#include "platform_service/devices/device_owner.h"
#include "platform_service/instances/ring_memory.h"

namespace bulkhead::platform {

// Bus mastering off, reset, reset verified, then, and not before, zeroed rings
// in the place of the old ones (S4). The old ones are unmapped later, by
// RingMemory::UnmapOld.
//
// Requires: no process of the old generation is left.
// An error leaves the rings as they are: the device has to go (Nic::Fail).
absl::Status MakeDeviceSafe(DeviceOwner& device, RingMemory& rings,
                            const StepRecorder& record);

// Empties the interrupt eventfds of what the old generation left unread, and
// arms nothing: they stay armed over a reset.
void DrainIrqs(const std::vector<UniqueFd>& irqs);

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_INSTANCES_RECOVERY_H_
