// A simulated NIC's owner: the vfio-user connection that may do everything.
#ifndef BULKHEAD_PLATFORM_SERVICE_DEVICES_VFIO_USER_OWNER_H_
#define BULKHEAD_PLATFORM_SERVICE_DEVICES_VFIO_USER_OWNER_H_

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nic_model/vfio_user/client.h"
#include "platform_service/devices/device_owner.h"

namespace bulkhead::platform {

// No call blocks longer than the connection's deadline.
class VfioUserOwner final : public DeviceOwner {
 public:
  // `connection` may do everything to the device. Reads what identifies it and
  // where its MSI-X capability is.
  static absl::StatusOr<std::unique_ptr<VfioUserOwner>> Create(
      std::unique_ptr<vfio_user::Client> connection);

  absl::StatusOr<std::vector<uint8_t>> ReadConfigSpace() override;
  // As it was when the connection was made.
  const std::vector<uint8_t>& first_config_space() const { return config_; }
  absl::Status EnableBusMaster() override;
  absl::Status ClearBusMaster() override;
  absl::Status ResetAndVerify(const StepRecorder& record) override;
  uint32_t irq_count() const override { return irq_count_; }
  // Also turns MSI-X on in config space.
  absl::Status ArmIrqs(std::span<const int> events) override;
  // A reset clears the MSI-X enable bit: sets it again, without waiting.
  absl::Status RestoreIrqs() override;

  // Readable: the device's process has closed the connection.
  int connection_fd() const { return connection_->fd(); }

 protected:
  absl::Status MapAt(uint64_t iova, uint64_t bytes, int memory_fd,
                     DeviceAccess access) override;
  absl::Status UnmapAt(uint64_t iova, uint64_t bytes) override;

 private:
  explicit VfioUserOwner(std::unique_ptr<vfio_user::Client> connection)
      : connection_(std::move(connection)) {}

  absl::Status Identify();
  absl::Status FindMsix();
  uint32_t FirstConfig(uint32_t offset, uint32_t width) const;
  absl::Status PostConfig16(uint32_t offset, uint16_t value);

  std::unique_ptr<vfio_user::Client> connection_;
  std::vector<uint8_t> config_;
  uint32_t identity_ = 0;     // Vendor in bits 0–15, device in bits 16–31.
  uint16_t msix_offset_ = 0;  // Of the capability; 0: none.
  uint16_t msix_control_ = 0;
  uint32_t irq_count_ = 0;
};

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_DEVICES_VFIO_USER_OWNER_H_
