// The client side of vfio-user: the platform service's owner connection and a
// driver's connection to a simulated NIC.
//
// Source: docs/interop/vfio-user.rst in QEMU.
#ifndef BULKHEAD_NIC_MODEL_VFIO_USER_CLIENT_H_
#define BULKHEAD_NIC_MODEL_VFIO_USER_CLIENT_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace bulkhead::vfio_user {

constexpr uint32_t kConfigRegion = 7;  // BAR n is region n.
constexpr uint32_t kMsixIrqIndex = 2;

struct RegionInfo {
  uint64_t bytes = 0;
  bool readable = false;
  bool writable = false;
};

// An address whose writes go to an eventfd: `shadow` holds the value written
// last, and the eventfd is the doorbell (IO_FD_TYPE_IOEVENTFD_SHADOW).
struct Doorbell {
  uint64_t offset = 0;  // In the region.
  uint32_t bytes = 0;   // Width of the access.
  UniqueFd event;
  UniqueFd shadow;  // Sealed memfd.
  uint32_t shadow_offset = 0;
};

// Blocking, with a deadline on each reply. After an error other than
// kInvalidArgument the connection is of no further use: Unavailable (the server
// is gone), DeadlineExceeded, DataLoss (it answered nonsense).
//
// Threading: one thread.
class Client {
 public:
  // Negotiates the version on a connected stream socket. No answer may take
  // longer than `timeout_ms`, and all together no longer than `patience_ms` (0:
  // as long as they like), which grows back by a tenth of the time: a server
  // that is just in time each time must not stop its client.
  static absl::StatusOr<std::unique_ptr<Client>> Create(UniqueFd socket,
                                                        int timeout_ms = 1000,
                                                        int patience_ms = 0);
  // Goes on with a connection that a process negotiated and left behind when it
  // died (its descriptor was parked): no version exchange, so that the server
  // keeps DMA maps and interrupts. What waits in the socket answers the dead
  // and is thrown away; so is any later reply to a message number that this
  // client did not send.
  static absl::StatusOr<std::unique_ptr<Client>> Adopt(UniqueFd socket,
                                                       int timeout_ms = 1000,
                                                       int patience_ms = 0);
  // Spares whoever will Adopt `socket` two round trips: negotiates the version
  // and asks for the doorbells of `region`. The socket stays the caller's.
  static absl::StatusOr<std::vector<Doorbell>> Greet(int socket,
                                                     uint32_t region,
                                                     int timeout_ms = 100);
  virtual ~Client() = default;

  virtual absl::StatusOr<RegionInfo> GetRegionInfo(uint32_t region) = 0;
  // Of the regions 0 to `count` - 1, at the price of one round trip.
  virtual absl::StatusOr<std::vector<RegionInfo>> GetRegionInfos(
      uint32_t count);
  virtual absl::StatusOr<std::vector<Doorbell>> GetDoorbells(
      uint32_t region) = 0;
  // Interrupt vectors of this index (kMsixIrqIndex).
  virtual absl::StatusOr<uint32_t> GetIrqCount(uint32_t index) = 0;

  virtual absl::Status Read(uint32_t region, uint64_t offset,
                            std::span<uint8_t> data) = 0;
  virtual absl::Status Write(uint32_t region, uint64_t offset,
                             std::span<const uint8_t> data) = 0;
  // A write with no reply: in order with everything else on this connection,
  // and without a round trip.
  virtual absl::Status PostWrite(uint32_t region, uint64_t offset,
                                 std::span<const uint8_t> data) = 0;

  // Posted writes from here on leave together with the next call that waits
  // for a reply, in order; call it only where one follows soon.
  virtual void Cork() {}

  // Vector i of `index` signals events[i]; an empty span disarms all.
  virtual absl::Status SetIrqs(uint32_t index, std::span<const int> events) = 0;
  // The NIC reaches [iova, iova + bytes) in `memory_fd` from `fd_offset`.
  virtual absl::Status MapDma(uint64_t iova, uint64_t bytes, int memory_fd,
                              uint64_t fd_offset, bool device_may_write) = 0;
  // When it returns, no access by the device is under way or can follow (S4).
  virtual absl::Status UnmapDma(uint64_t iova, uint64_t bytes) = 0;
  virtual absl::Status Reset() = 0;
  // Without waiting: what is asked of the device after it on this connection is
  // asked of a device that was reset.
  virtual absl::Status PostReset() { return Reset(); }

  // Readable when the server has closed.
  virtual int fd() const = 0;
};

}  // namespace bulkhead::vfio_user

#endif  // BULKHEAD_NIC_MODEL_VFIO_USER_CLIENT_H_
