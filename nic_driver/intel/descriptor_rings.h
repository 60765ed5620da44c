// The descriptor rings of Intel's 1 Gb/s NICs as their drivers keep them: which
// slot holds what, and what the device may be believed. What to ask of the
// device is the driver's.
//
// Threading: one thread. No call allocates.
#ifndef BULKHEAD_NIC_DRIVER_INTEL_DESCRIPTOR_RINGS_H_
#define BULKHEAD_NIC_DRIVER_INTEL_DESCRIPTOR_RINGS_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "nic_driver/framework/dma_memory.h"
#include "nic_driver/framework/driver.h"
#include "nic_driver/intel/descriptors.h"

namespace bulkhead::nic_driver::intel {

// An rx ring as large as a session's default number of buffers bridges the
// moments in which we are not scheduled. Multiples of 8: the NICs count a
// ring's length in 128 bytes.
constexpr uint32_t kRxEntries = 1024;
constexpr uint32_t kTxEntries = 512;
constexpr size_t kRxRingBytes = kRxEntries * sizeof(RxDescriptor);
constexpr size_t kTxRingBytes = kTxEntries * sizeof(TxDescriptor);
static_assert((kRxEntries & (kRxEntries - 1)) == 0 && kRxRingBytes % 128 == 0);
static_assert((kTxEntries & (kTxEntries - 1)) == 0 && kTxRingBytes % 128 == 0);
// Both: whole pages.
constexpr size_t kRingBytes = kRxRingBytes + kTxRingBytes;
static_assert(kRingBytes % 4096 == 0);
// A batch has at most so many frames, of which each may need a context.
constexpr uint32_t kContextReserve = kBatchPieces;

// Which bits of a frame's last receive status mean what.
struct RxFormat {
  uint64_t frame_errors = 0;  // Any: it is damaged.
  // Its checksum is good if any of the first is set and none of the second. All
  // 0: checksums were not asked for.
  uint64_t checksum_checked = 0;
  uint64_t checksum_doubted = 0;
};

inline void StoreRelaxed(uint64_t& word, uint64_t value) {
  std::atomic_ref(word).store(value, std::memory_order_relaxed);
}

class RxRing {
 public:
  // kRxRingBytes of `memory`, from `offset` on.
  void Attach(const DmaMemory& memory, size_t offset) {
    ring_ = memory.As<RxDescriptor>(offset, kRxEntries);
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
  // What the device wrote of a frame, read once.
  struct Frame {
    uint32_t pieces = 0;
    bool whole = false;  // Else it goes on beyond kMaxFramePieces.
    bool bad_length = false;
    uint64_t last_status = 0;
    std::array<uint16_t, kMaxFramePieces> lengths;
  };

  // False: the device is not done with the next one.
  bool NextFrame(uint32_t buffer_bytes, Frame& frame) const;
  void Emit(const RxFormat& format, const Frame& frame, RxPiece* out);

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
  // kTxRingBytes of `memory`, from `offset` on.
  void Attach(const DmaMemory& memory, size_t offset) {
    ring_ = memory.As<TxDescriptor>(offset, kTxEntries);
  }
  void Detach() { ring_ = {}; }
  void Forget();
  void Clear() { std::fill(ring_.begin(), ring_.end(), TxDescriptor{}); }

  // Pieces that fit, with a context before each frame of a batch.
  size_t Room() const;
  // The next piece begins a frame.
  bool at_frame_start() const { return !in_frame_; }
  void Put(const TxPiece& piece, uint64_t command) {
    in_frame_ = piece.more;
    Append({.buffer = piece.buffer, .length = piece.length, .more = piece.more},
           piece.iova, command);
  }
  // Before the frame that it is for; it is no piece of anybody's.
  void PutContext(uint64_t address, uint64_t command) {
    Append({.context = true}, address, command);
  }
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

  // The doorbell that follows is the release.
  void Append(const Slot& slot, uint64_t address, uint64_t command) {
    const uint32_t at = tail_++ & (kTxEntries - 1);
    slots_[at] = slot;
    StoreRelaxed(ring_[at].address, address);
    StoreRelaxed(ring_[at].command, command);
  }

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
