// The bytes of vfio-user on the wire: facts of the public specification and
// nothing else. All numbers are in host byte order.
//
// Source: docs/interop/vfio-user.rst in QEMU, protocol version 0.1; the shadow
// ioeventfd of DEVICE_GET_REGION_IO_FDS: libvfio-user.
#ifndef BULKHEAD_NIC_MODEL_VFIO_USER_PROTOCOL_H_
#define BULKHEAD_NIC_MODEL_VFIO_USER_PROTOCOL_H_

#include <cstddef>
#include <cstdint>

namespace bulkhead::vfio_user {

constexpr uint16_t kMajorVersion = 0;
constexpr uint16_t kMinorVersion = 1;

enum class Command : uint16_t {
  kVersion = 1,
  kDmaMap = 2,
  kDmaUnmap = 3,
  kGetInfo = 4,
  kGetRegionInfo = 5,
  kGetRegionIoFds = 6,
  kGetIrqInfo = 7,
  kSetIrqs = 8,
  kRegionRead = 9,
  kRegionWrite = 10,
  kDeviceReset = 13,
  kRegionWriteMulti = 15,
};

// Every message, in both directions, begins with one.
struct Header {
  uint16_t id;  // Echoed in the reply; belongs to the sender.
  uint16_t command;
  uint32_t bytes;  // Of the whole message, header included.
  uint32_t flags;
  uint32_t error;  // errno, in a reply with kFlagError.
};
static_assert(sizeof(Header) == 16);

// Header::flags.
constexpr uint32_t kTypeMask = 0xf;
constexpr uint32_t kTypeCommand = 0;
constexpr uint32_t kTypeReply = 1;
constexpr uint32_t kFlagNoReply = 1u << 4;
constexpr uint32_t kFlagError = 1u << 5;

// VERSION, both ways; NUL-terminated JSON may follow.
struct Version {
  uint16_t major;
  uint16_t minor;
};
static_assert(sizeof(Version) == 4);

// What a side that names no capability has: see "Capabilities".
constexpr uint64_t kDefaultMaxFds = 1;

// DMA_MAP; one descriptor comes with it.
struct DmaMapRequest {
  uint32_t argsz;
  uint32_t flags;
  uint64_t fd_offset;
  uint64_t iova;
  uint64_t bytes;
};
static_assert(sizeof(DmaMapRequest) == 32);
constexpr uint32_t kDmaReadable = 1u << 0;
constexpr uint32_t kDmaWritable = 1u << 1;

// DMA_UNMAP, both ways.
struct DmaUnmapRequest {
  uint32_t argsz;
  uint32_t flags;
  uint64_t iova;
  uint64_t bytes;
};
static_assert(sizeof(DmaUnmapRequest) == 24);
constexpr uint32_t kUnmapAll = 1u << 1;

// DEVICE_GET_INFO, both ways.
struct DeviceInfo {
  uint32_t argsz;
  uint32_t flags;
  uint32_t region_count;
  uint32_t irq_count;  // Interrupt types, not vectors.
};
static_assert(sizeof(DeviceInfo) == 16);
constexpr uint32_t kDeviceCanReset = 1u << 0;
constexpr uint32_t kDeviceIsPci = 1u << 1;

constexpr uint32_t kPciRegionCount = 9;   // BAR0–5, ROM, config, VGA.
constexpr uint32_t kPciIrqTypeCount = 5;  // INTx, MSI, MSI-X, ERR, REQ.

// DEVICE_GET_REGION_INFO, both ways.
struct RegionInfoBody {
  uint32_t argsz;
  uint32_t flags;
  uint32_t index;
  uint32_t cap_offset;
  uint64_t bytes;
  uint64_t offset;
};
static_assert(sizeof(RegionInfoBody) == 32);
constexpr uint32_t kRegionReadable = 1u << 0;
constexpr uint32_t kRegionWritable = 1u << 1;

// DEVICE_GET_REGION_IO_FDS, both ways; IoEventFd[count] follows in the reply.
struct RegionIoFds {
  uint32_t argsz;
  uint32_t flags;
  uint32_t index;
  uint32_t count;
};
static_assert(sizeof(RegionIoFds) == 16);

struct IoEventFd {
  uint64_t offset;  // In the region.
  uint64_t bytes;
  uint32_t fd_index;
  uint32_t type;
  uint32_t flags;
  uint32_t shadow_fd_index;
  uint64_t shadow_offset;
  uint64_t datamatch;
};
static_assert(sizeof(IoEventFd) == 48);
static_assert(offsetof(IoEventFd, shadow_offset) == 32);
constexpr uint32_t kIoEventFdShadow = 2;  // IoEventFd::type.

// DEVICE_GET_IRQ_INFO, both ways.
struct IrqInfo {
  uint32_t argsz;
  uint32_t flags;
  uint32_t index;
  uint32_t count;
};
static_assert(sizeof(IrqInfo) == 16);
constexpr uint32_t kIrqByEventfd = 1u << 0;
constexpr uint32_t kIrqNoResize = 1u << 3;

// DEVICE_SET_IRQS; the eventfds come as SCM_RIGHTS.
struct SetIrqsRequest {
  uint32_t argsz;
  uint32_t flags;
  uint32_t index;
  uint32_t start;
  uint32_t count;
};
static_assert(sizeof(SetIrqsRequest) == 20);
constexpr uint32_t kIrqDataNone = 1u << 0;
constexpr uint32_t kIrqDataBool = 1u << 1;
constexpr uint32_t kIrqDataEventfd = 1u << 2;
constexpr uint32_t kIrqActionMask = 1u << 3;
constexpr uint32_t kIrqActionUnmask = 1u << 4;
constexpr uint32_t kIrqActionTrigger = 1u << 5;

// REGION_READ and REGION_WRITE, both ways; `count` bytes of data follow in the
// reply to a read and in the request of a write.
struct RegionAccess {
  uint64_t offset;
  uint32_t region;
  uint32_t count;
};
static_assert(sizeof(RegionAccess) == 16);

// REGION_WRITE_MULTI: WriteMultiHeader, then SingleWrite[count].
struct WriteMultiHeader {
  uint64_t count;
};
struct SingleWrite {
  uint64_t offset;
  uint32_t region;
  uint32_t count;
  uint8_t data[8];
};
static_assert(sizeof(SingleWrite) == 24);

}  // namespace bulkhead::vfio_user

#endif  // BULKHEAD_NIC_MODEL_VFIO_USER_PROTOCOL_H_
