// A real NIC's owner: container, group and device descriptor of VFIO.
#ifndef BULKHEAD_PLATFORM_SERVICE_VFIO_VFIO_OWNER_H_
#define BULKHEAD_PLATFORM_SERVICE_VFIO_VFIO_OWNER_H_

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "platform_service/devices/device_owner.h"
#include "platform_service/policy/driver_description.h"
#include "platform_service/vfio/container.h"
#include "platform_service/vfio/reset_ladder.h"
#include "platform_service/vfio/sysfs.h"
#include "platform_service/vfio/vfio_device_fd.h"

namespace bulkhead::platform {

// Blocks for as long as a reset takes: 1 ms by software, some 100 ms by
// function or bus.
class VfioOwner final : public DeviceOwner {
 public:
  struct Identity {
    std::string address;
    uint16_t vendor = 0;
    uint16_t device = 0;
  };

  // Reads where everything is. `sysfs` and `memory` outlive it.
  static absl::StatusOr<std::unique_ptr<VfioOwner>> Create(
      VfioContainer container, VfioDeviceFd device, Identity identity,
      policy::ResetDescription reset, Sysfs& sysfs, ResetMemory& memory);
  ~VfioOwner() override;

  absl::StatusOr<std::vector<uint8_t>> ReadConfigSpace() override;
  absl::Status EnableBusMaster() override;
  absl::Status ClearBusMaster() override;
  absl::Status ResetAndVerify(const StepRecorder& record) override;
  uint32_t irq_count() const override { return irq_count_; }
  absl::Status ArmIrqs(std::span<const int> events) override;
  // The kernel restores message-signalled interrupts after a reset by itself,
  // and a software reset does not reach them.
  absl::Status RestoreIrqs() override { return absl::OkStatus(); }

  // The kernel signals `error` on an uncorrectable error of the function, and
  // `request` when it wants the function back. The function is told to report
  // its errors: kernels before 6.3 leave that to the driver, and VFIO does not.
  absl::Status ArmEvents(int error, int request);

  // Hears of resets for which the caller has no recorder.
  void set_recorder(StepRecorder recorder) { recorder_ = std::move(recorder); }

  const std::array<VfioRegion, 6>& bars() const { return bars_; }
  const VfioDeviceFd& device() const { return device_; }
  const VfioContainer& container() const { return container_; }

 protected:
  absl::Status MapAt(uint64_t iova, uint64_t bytes, int memory_fd,
                     DeviceAccess access) override;
  absl::Status UnmapAt(uint64_t iova, uint64_t bytes) override;

 private:
  class Target;

  VfioOwner(VfioContainer container, VfioDeviceFd device, Identity identity,
            policy::ResetDescription reset, Sysfs& sysfs, ResetMemory& memory)
      : container_(std::move(container)),
        device_(std::move(device)),
        identity_(std::move(identity)),
        reset_(std::move(reset)),
        sysfs_(sysfs),
        memory_(memory) {}

  absl::Status Look();
  absl::Status ReportErrors();

  VfioContainer container_;
  VfioDeviceFd device_;
  const Identity identity_;
  const policy::ResetDescription reset_;
  Sysfs& sysfs_;
  ResetMemory& memory_;
  StepRecorder recorder_;
  VfioRegion config_;
  std::array<VfioRegion, 6> bars_;
  uint32_t irq_index_ = 0;
  uint32_t irq_count_ = 0;
};

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_VFIO_VFIO_OWNER_H_
