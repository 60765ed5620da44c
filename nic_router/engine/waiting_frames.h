// Frames whose next hop's MAC was asked for: kept as they came, and looked at
// again from the start once it is known. Bounded, and so is each sender's part.
#ifndef BULKHEAD_NIC_ROUTER_ENGINE_WAITING_FRAMES_H_
#define BULKHEAD_NIC_ROUTER_ENGINE_WAITING_FRAMES_H_

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>

#include "nic_router/config.h"
#include "nic_router/engine/flow_table.h"
#include "nic_router/engine/frame.h"

namespace bulkhead::nic_router {

struct WaitingFrame {
  bool used = false;
  uint16_t source = kNoAttachment;
  uint8_t version = 4;
  uint32_t domain_hash = 0;  // Of the domain that it leaves through.
  Ipv6Address next_hop{};
  uint64_t deadline_ns = 0;
  uint64_t ask_ns = 0;  // When to ask again.
  bool ready = false;   // The answer came.
  uint32_t bytes = 0;
};

class WaitingFrames {
 public:
  static constexpr size_t kSlots = 128;
  static constexpr size_t kOfOneSender = 16;
  static constexpr size_t kSlotBytes = 9216 + 64;

  // The memory is touched only by the frames that wait.
  WaitingFrames() : bytes_(new uint8_t[kSlots * kSlotBytes]) {}

  // A free slot for a frame of this sender, or nullptr.
  WaitingFrame* Take(uint16_t source, uint32_t bytes) {
    if (bytes > kSlotBytes) return nullptr;
    WaitingFrame* free = nullptr;
    size_t own = 0;
    for (WaitingFrame& slot : slots_) {
      if (!slot.used) {
        free = &slot;
      } else if (slot.source == source && ++own == kOfOneSender) {
        return nullptr;
      }
    }
    if (free == nullptr) return nullptr;
    *free = {};
    free->used = true;
    free->source = source;
    free->bytes = bytes;
    ++used_;
    return free;
  }
  void Free(WaitingFrame& slot) {
    slot.used = false;
    --used_;
  }
  size_t used() const { return used_; }
  std::array<WaitingFrame, kSlots>& slots() { return slots_; }
  const std::array<WaitingFrame, kSlots>& slots() const { return slots_; }
  uint8_t* BytesOf(const WaitingFrame& slot) {
    return bytes_.get() +
           static_cast<size_t>(&slot - slots_.data()) * kSlotBytes;
  }

 private:
  std::array<WaitingFrame, kSlots> slots_;
  size_t used_ = 0;
  std::unique_ptr<uint8_t[]> bytes_;
};

}  // namespace bulkhead::nic_router

#endif  // BULKHEAD_NIC_ROUTER_ENGINE_WAITING_FRAMES_H_
