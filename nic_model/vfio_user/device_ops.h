// What a simulated PCI device offers to the vfio-user server.
#ifndef BULKHEAD_NIC_MODEL_VFIO_USER_DEVICE_OPS_H_
#define BULKHEAD_NIC_MODEL_VFIO_USER_DEVICE_OPS_H_

#include <cstdint>
#include <span>
#include <vector>

#include "base/unique_fd.h"
#include "nic_model/vfio_user/client.h"

namespace bulkhead::vfio_user {

// A doorbell as the device offers it; the descriptors stay the device's.
struct DoorbellOffer {
  uint64_t offset = 0;
  uint32_t bytes = 0;
  int event_fd = -1;
  int shadow_fd = -1;
  uint32_t shadow_offset = 0;
};

// Each operation that can fail returns 0 or an errno for the reply.
//
// Requires: the server has checked what the protocol lets it check: an access
// lies inside its region and the region allows it, vectors exist, sizes do not
// wrap. The values are hostile all the same.
// Threading: the loop's thread.
class DeviceOps {
 public:
  virtual ~DeviceOps() = default;

  // A region that does not exist has 0 bytes.
  virtual RegionInfo Region(uint32_t index) const = 0;
  virtual std::span<const DoorbellOffer> Doorbells(uint32_t region) const = 0;
  virtual uint32_t IrqCount(uint32_t index) const = 0;

  virtual int ReadRegion(uint32_t region, uint64_t offset,
                         std::span<uint8_t> data) = 0;
  virtual int WriteRegion(uint32_t region, uint64_t offset,
                          std::span<const uint8_t> data) = 0;

  // Vectors start … start + events.size() - 1 signal these from now on; an
  // empty descriptor disarms its vector.
  virtual int ArmIrqs(uint32_t index, uint32_t start,
                      std::vector<UniqueFd> events) = 0;
  virtual void DisarmIrqs(uint32_t index) = 0;
  virtual int TriggerIrq(uint32_t index, uint32_t vector) = 0;

  virtual int MapDma(uint64_t iova, uint64_t bytes, UniqueFd memory,
                     uint64_t fd_offset, bool device_may_read,
                     bool device_may_write) = 0;
  // Both return when no access can follow (S4).
  virtual int UnmapDma(uint64_t iova, uint64_t bytes) = 0;
  virtual void UnmapAllDma() = 0;

  virtual void Reset() = 0;
};

}  // namespace bulkhead::vfio_user

#endif  // BULKHEAD_NIC_MODEL_VFIO_USER_DEVICE_OPS_H_
