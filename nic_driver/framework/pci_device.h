// A PCIe function as its driver sees it: the same driver binary runs on VFIO
// and on vfio-user through this interface.
#ifndef BULKHEAD_NIC_DRIVER_FRAMEWORK_PCI_DEVICE_H_
#define BULKHEAD_NIC_DRIVER_FRAMEWORK_PCI_DEVICE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace bulkhead::nic_driver {

// Register access has PCIe's ordering: writes are posted and arrive in order; a
// read comes after every write before it.
//
// Any thread may read and write registers, and the order is each thread's own.
// HoldWrites, config space and everything of a driver's start are one thread's.
//
// What is missing is missing on purpose: config writes, DMA maps and reset stay
// with the platform service (S3). Interrupts arrive on the grant's eventfds.
class PciDevice {
 public:
  virtual ~PciDevice() = default;

  // 32-bit register at byte `offset` of BAR `bar`. A device that is gone reads
  // as all ones, as real hardware does; see gone().
  virtual uint32_t Read32(int bar, uint32_t offset) = 0;
  virtual void Write32(int bar, uint32_t offset, uint32_t value) = 0;
  // The same for a register of `width` bytes: 1, 2 or 4. Where the device has
  // narrow registers, a wide access would touch their neighbours too.
  virtual uint32_t Read(int bar, uint32_t offset, int width) = 0;
  virtual void Write(int bar, uint32_t offset, int width, uint32_t value) = 0;
  // Neighbouring registers of `width` bytes, in order; where a read is a round
  // trip, all of them are one.
  virtual void ReadRun(int bar, uint32_t offset, int width,
                       std::span<uint32_t> out) {
    for (size_t i = 0; i < out.size(); ++i) {
      out[i] = Read(bar, offset + static_cast<uint32_t>(i) * width, width);
    }
  }

  // The next writes may be held back until the next read, which must follow
  // within the same handler: a sequence of them then costs one message.
  virtual void HoldWrites() {}

  // The registers at `offset` and `offset` + 4, in this order; where a read is
  // a round trip, it is one.
  virtual std::array<uint32_t, 2> ReadPair32(int bar, uint32_t offset) {
    const uint32_t first = Read32(bar, offset);
    return {first, Read32(bar, offset + 4)};
  }

  // Write32 for a ring's tail register on the data path. It may overtake
  // earlier writes to other registers and be overtaken by later ones, but a
  // later write to the same register wins; writes to memory before it are
  // visible to the device that sees it. So the register must not depend on a
  // write that no read has followed yet.
  virtual void WriteDoorbell32(int bar, uint32_t offset, uint32_t value) {
    Write32(bar, offset, value);
  }

  // The same for a register of 16 bits.
  virtual void WriteDoorbell16(int bar, uint32_t offset, uint16_t value) {
    Write(bar, offset, 2, value);
  }

  // Reads `width` (1, 2 or 4) bytes of config space.
  virtual absl::StatusOr<uint32_t> ReadConfig(uint32_t offset, int width) = 0;

  // Config space from its start on; where a read is a round trip, all of it is
  // one. `out` has a multiple of 4 bytes, at most 256.
  virtual absl::Status ReadConfigSpace(std::span<uint8_t> out) {
    for (size_t at = 0; at < out.size(); ++at) {
      auto byte = ReadConfig(static_cast<uint32_t>(at), 1);
      if (!byte.ok()) return byte.status();
      out[at] = static_cast<uint8_t>(*byte);
    }
    return absl::OkStatus();
  }

  // The device does not answer any more: surprise removal.
  virtual bool gone() const = 0;

  // Readable: the bus itself has closed. -1: it cannot.
  virtual int closed_fd() const { return -1; }
};

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_FRAMEWORK_PCI_DEVICE_H_
