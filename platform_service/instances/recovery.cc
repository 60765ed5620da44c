#include "platform_service/instances/recovery.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/errno_status.h"

namespace bulkhead::platform {

absl::Status MakeDeviceSafe(DeviceOwner& device, RingMemory& rings,
                            const StepRecorder& record) {
  RETURN_IF_ERROR(device.ClearBusMaster());
  record("dma_off", "bus mastering cleared");
  RETURN_IF_ERROR(device.ResetAndVerify(record));
  RETURN_IF_ERROR(device.RestoreIrqs());
  return rings.Renew(device);
}

void DrainIrqs(const std::vector<UniqueFd>& irqs) {
  for (const UniqueFd& irq : irqs) {
    // The dead driver shared the open file and could have made it blocking.
    ::fcntl(irq.get(), F_SETFL, O_RDWR | O_NONBLOCK);
    uint64_t count;
    [[maybe_unused]] const ssize_t got =
        ::read(irq.get(), &count, sizeof(count));
  }
}

}  // namespace bulkhead::platform
