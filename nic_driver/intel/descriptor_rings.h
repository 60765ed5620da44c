// The descriptor rings of Intel's 1 Gb/s NICs as their drivers keep them:
// descriptors of 16 bytes, of which the device writes the second half back. What
// the bits ask for differs from NIC to NIC and is the driver's; which slot holds
// what, and what the device may be believed, is here.
//
// Threading: one thread. No call allocates.
#ifndef BULKHEAD_NIC_DRIVER_INTEL_DESCRIPTOR_RINGS_H_
#define BULKHEAD_NIC_DRIVER_INTEL_DESCRIPTOR_RINGS_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "nic_driver/framework/dma_memory.h"
#include "nic_driver/framework/driver.h"

namespace bulkhead::nic_driver::intel {

// Of extended (82574) and advanced (82576) receive descriptors, written back:
// extended status in bits 0–19 of `status`, extended errors in 20–31, length in
// 32–47, VLAN tag in 48–63.
struct RxDescriptor {
  uint64_t address;
  uint64_t status;  // 0 when it is given.
};
static_assert(sizeof(RxDescriptor) == 16);

namespace rx {
constexpr uint64_t DD = uint64_t{1} << 0;   // The device is done with it.
constexpr uint64_t EOP = uint64_t{1} << 1;  // End of packet.
constexpr uint16_t Length(uint64_t status) {
  return static_cast<uint16_t>(status >> 32);
}
}  // namespace rx

// Of any kind; of the status, DD is in the same place in all.
struct TxDescriptor {
  uint64_t address;
  uint64_t command;
};
static_assert(sizeof(TxDescriptor) == 16);

namespace tx {
constexpr uint64_t DD = uint64_t{1} << 32;
}  // namespace tx

// An rx ring as large as a session's default number of buffers bridges the
// moments in which we are not scheduled. Multiples of 8: the NICs count a ring's
// length in 128 bytes.
constexpr uint32_t kRxEntries = 1024;
constexpr uint32_t kTxEntries = 512;
constexpr size_t kRxRingBytes = kRxEntries * sizeof(RxDescriptor);
constexpr size_t kTxRingBytes = kTxEntries * sizeof(TxDescriptor);
static_assert((kRxEntries & (kRxEntries - 1)) == 0 && kRxRingBytes % 128 == 0);
static_assert((kTxEntries & (kTxEntries - 1)) == 0 && kTxRingBytes % 128 == 0);
// Both, the rx ring first: whole pages.
constexpr size_t kRingBytes = kRxRingBytes + kTxRingBytes;
static_assert(kRingBytes % 4096 == 0);

// How a NIC's receive status is read.
struct RxFormat {
  uint64_t frame_errors = 0;  // Status bits of a frame that is damaged.
  // Of the frame's last status. Null: checksums were not asked for.
  bool (*checksum_good)(uint64_t status) = nullptr;
};

class RxRing {
 public:
  // `memory` begins with the ring.
  void Attach(const DmaMemory& memory) {
    ring_ = memory.As<RxDescriptor>(0, kRxEntries);
  }
  void Detach() { ring_ = {}; }
  // After a reset, which forgets head and tail. The descriptors stay.
  void Forget();
  // No descriptor of before is left.
  void Clear() { std::fill(ring_.begin(), ring_.end(), RxDescriptor{}); }

  size_t Room() const;
  void Refill(std::span<const RxBuffer> buffers);
  // See Driver::RxHarvest.
  size_t Harvest(const RxFormat& format, uint32_t buffer_bytes,
                 std::span<RxPiece> out);
  uint32_t tail() const { return tail_ & (kRxEntries - 1); }

 private:
  void EmitFrame(const RxFormat& format, uint32_t buffer_bytes,
                 std::span<const uint64_t> statuses, bool whole,
                 std::span<RxPiece> out);

  std::span<RxDescriptor> ring_;
  // Free-running; & (entries - 1) gives the slot. head: oldest that the device
  // has. tail: next to be given.
  uint32_t head_ = 0;
  uint32_t tail_ = 0;
  bool skipping_ = false;  // Inside a frame of too many pieces.
  std::array<uint32_t, kRxEntries> buffers_ = {};
};

class TxRing {
 public:
  // `memory` holds an rx ring and then this one.
  void Attach(const DmaMemory& memory) {
    ring_ = memory.As<TxDescriptor>(kRxRingBytes, kTxEntries);
  }
  void Detach() { ring_ = {}; }
  void Forget();
  void Clear() { std::fill(ring_.begin(), ring_.end(), TxDescriptor{}); }

  // Pieces that fit, with a context before each frame of a batch.
  size_t Room() const;
  // The next piece begins a frame.
  bool at_frame_start() const { return !in_frame_; }
  void Put(const TxPiece& piece, uint64_t command);
  // Before the frame that it is for; it is no piece of anybody's.
  void PutContext(uint64_t address, uint64_t command);
  // See Driver::TxReap. `errors`: bits beside DD of a frame that was not sent.
  size_t Reap(uint64_t errors, std::span<TxDone> out);
  // Gives up what the device has not sent; returns how many frames it was.
  uint64_t Abandon();
  uint32_t tail() const { return tail_ & (kTxEntries - 1); }

 private:
  struct Slot {
    uint32_t buffer = 0;
    uint16_t length = 0;
    bool more = false;
    bool context = false;
  };

  std::span<TxDescriptor> ring_;
  uint32_t head_ = 0;
  uint32_t tail_ = 0;
  bool in_frame_ = false;
  std::array<Slot, kTxEntries> slots_ = {};
};

// What the rings of a stopped device still hold, seen as the data path would
// have. Leaves both empty but for what was never received.
StopReport CountLeftovers(RxRing& rx, const RxFormat& format,
                          uint32_t rx_buffer_bytes, TxRing& tx,
                          uint64_t tx_errors);

}  // namespace bulkhead::nic_driver::intel

#endif  // BULKHEAD_NIC_DRIVER_INTEL_DESCRIPTOR_RINGS_H_
