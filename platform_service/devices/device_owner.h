// The platform service's hold on one NIC: what a driver may not do itself.
//
// The device has one container of DMA mappings (S3): rings and session memory
// of the one instance that drives it (S1), and nothing else.
#ifndef BULKHEAD_PLATFORM_SERVICE_DEVICES_DEVICE_OWNER_H_
#define BULKHEAD_PLATFORM_SERVICE_DEVICES_DEVICE_OWNER_H_

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"
#include "packet_stream/geometry.h"
#include "platform_service/api/driver.pb.h"
#include "platform_service/devices/iova_allocator.h"
#include "platform_service/parking/parking_lot.h"

namespace bulkhead::platform {

// Whether the device may write to a mapping, or only read it.
enum class DeviceAccess : uint8_t { kRead, kWrite };

// Tells of a step as it ends: kind and text of an event.
using StepRecorder =
    std::function<void(absl::string_view kind, absl::string_view text)>;

// A session's frame memory; descriptors stay the session's.
struct SessionMemory {
  int tx_data_fd = -1;
  int rx_data_fd = -1;
  packet_stream::SessionGeometry geometry;
  uint64_t tx_iova = 0;  // Where the device has it mapped: no other has.
};

// Errors other than InvalidArgument and ResourceExhausted mean that the device
// does not behave: the caller takes it out of service.
//
// Guarantees (S4): memory whose unmapping failed stays referenced here until
// the whole container is gone, so that it cannot be reused under a device that
// may still write to it.
// Threading: the loop's thread.
class DeviceOwner {
 public:
  virtual ~DeviceOwner() = default;

  // Config space from offset 0, as much as the device has (256 or 4096 bytes).
  virtual absl::StatusOr<std::vector<uint8_t>> ReadConfigSpace() = 0;

  // The instance's driver has its device under control (EnableDma).
  virtual absl::Status EnableBusMaster() = 0;
  // Stops DMA at once; need not wait for the device's answer.
  virtual absl::Status ClearBusMaster() = 0;
  // Resets the device and reads back that it is the same one, was reset, and
  // has bus mastering off: from here on no access of it is under way (S4).
  virtual absl::Status ResetAndVerify(const StepRecorder& record) = 0;

  absl::StatusOr<uint64_t> Map(int memory_fd, uint64_t bytes,
                               DeviceAccess access);
  // Takes over a mapping that the device has already (after a restart of the
  // platform service).
  absl::Status AdoptMapping(uint64_t iova, uint64_t bytes);
  // When it returns ok, no access is under way or can follow.
  absl::Status Unmap(uint64_t iova, uint64_t bytes, UniqueFd memory);

  // Whether the device can serve such a session; InvalidArgument says why not.
  virtual absl::Status CheckSession(
      const packet_stream::SessionGeometry&) const {
    return absl::OkStatus();
  }
  // Adds what a driver needs of this device for one session, besides addresses
  // that are mapped: nothing, where the device reaches memory by itself.
  virtual absl::Status AddToSession(const SessionMemory&, SessionGrant*,
                                    FdList*) {
    return absl::OkStatus();
  }

  virtual uint32_t irq_count() const = 0;
  // Vector i signals events[i].
  virtual absl::Status ArmIrqs(std::span<const int> events) = 0;
  // After a reset, which may have turned them off.
  virtual absl::Status RestoreIrqs() = 0;

 protected:
  virtual absl::Status MapAt(uint64_t iova, uint64_t bytes, int memory_fd,
                             DeviceAccess access) = 0;
  virtual absl::Status UnmapAt(uint64_t iova, uint64_t bytes) = 0;

 private:
  IovaAllocator iovas_;
  std::vector<UniqueFd> quarantine_;
};

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_DEVICES_DEVICE_OWNER_H_
