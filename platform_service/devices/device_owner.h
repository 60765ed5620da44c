// The platform service's hold on one NIC: what a driver may not do itself.
//
// The device has one container of DMA mappings (S3): rings and session memory
// of the one instance that drives it (S1), and nothing else.
#ifndef BULKHEAD_PLATFORM_SERVICE_DEVICES_DEVICE_OWNER_H_
#define BULKHEAD_PLATFORM_SERVICE_DEVICES_DEVICE_OWNER_H_

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "nic_model/vfio_user/client.h"
#include "platform_service/devices/iova_allocator.h"

namespace bulkhead::platform {

// Whether the device may write to a mapping, or only read it.
enum class DeviceAccess : uint8_t { kRead, kWrite };

// Errors other than InvalidArgument and ResourceExhausted mean that the device
// does not behave: the caller takes it out of service. No call blocks longer
// than the connection's deadline.
//
// Guarantees (S4): memory whose unmapping failed stays referenced here until
// the whole container is gone, so that it cannot be reused under a device that
// may still write to it.
// Threading: the loop's thread.
class DeviceOwner {
 public:
  // `connection` may do everything to the device. Reads what identifies it and
  // where its MSI-X capability is.
  static absl::StatusOr<std::unique_ptr<DeviceOwner>> Create(
      std::unique_ptr<vfio_user::Client> connection);

  // Config space from offset 0, as much as the device has (256 or 4096 bytes).
  absl::StatusOr<std::vector<uint8_t>> ReadConfigSpace();

  // The instance's driver has its device under control (EnableDma).
  absl::Status EnableBusMaster();
  // Stops DMA at once, without waiting for the device's answer.
  absl::Status ClearBusMaster();
  // Resets the device and reads back that it is the same one, with bus
  // mastering off: from here on no access of it is under way (S4).
  absl::Status ResetAndVerify();

  absl::StatusOr<uint64_t> Map(int memory_fd, uint64_t bytes,
                               DeviceAccess access);
  // Takes over a mapping that the device has already (after a restart of the
  // platform service).
  absl::Status AdoptMapping(uint64_t iova, uint64_t bytes);
  // When it returns ok, no access is under way or can follow.
  absl::Status Unmap(uint64_t iova, uint64_t bytes, UniqueFd memory);

  uint32_t irq_count() const { return irq_count_; }
  // Vector i signals events[i]; also turns MSI-X on in config space.
  absl::Status ArmIrqs(std::span<const int> events);
  // A reset clears the MSI-X enable bit: sets it again, without waiting.
  absl::Status ReenableMsix();

  // Readable: the device's process has closed the connection.
  int connection_fd() const { return connection_->fd(); }

 private:
  explicit DeviceOwner(std::unique_ptr<vfio_user::Client> connection)
      : connection_(std::move(connection)) {}

  absl::Status Identify();
  absl::Status FindMsix();
  absl::StatusOr<uint32_t> ReadConfig(uint32_t offset, uint32_t width);
  absl::Status PostConfig16(uint32_t offset, uint16_t value);

  std::unique_ptr<vfio_user::Client> connection_;
  IovaAllocator iovas_;
  uint32_t identity_ = 0;     // Vendor in bits 0–15, device in bits 16–31.
  uint16_t msix_offset_ = 0;  // Of the capability; 0: none.
  uint16_t msix_control_ = 0;
  uint32_t irq_count_ = 0;
  std::vector<UniqueFd> quarantine_;
};

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_DEVICES_DEVICE_OWNER_H_
