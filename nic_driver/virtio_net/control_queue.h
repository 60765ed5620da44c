// Commands to the device, sent without waiting: Virtio 1.2, section 5.1.6.5.
#ifndef BULKHEAD_NIC_DRIVER_VIRTIO_NET_CONTROL_QUEUE_H_
#define BULKHEAD_NIC_DRIVER_VIRTIO_NET_CONTROL_QUEUE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "nic_driver/framework/dma_memory.h"
#include "nic_driver/framework/driver.h"
#include "nic_driver/virtio_net/virtqueue.h"

namespace bulkhead::nic_driver::virtio_net {

// A command that finds no free slot is refused: it comes after a later Reap.
//
// Threading: one thread.
class ControlQueue {
 public:
  // Bytes of zeroed memory for commands and answers.
  static constexpr size_t kSlots = 8;
  static constexpr size_t kSlotBytes = 2048;
  static constexpr size_t kBytes = kSlots * kSlotBytes;
  // More addresses than fit a command: ask for all multicast instead.
  static constexpr size_t kMaxMulticast = 128;
  // Whose statistics one command asks for.
  static constexpr size_t kMaxPairs = 8;

  // `memory` outlives it; the slots begin `offset` bytes into it.
  ControlQueue(std::unique_ptr<Virtqueue> queue, const DmaMemory& memory,
               size_t offset);

  Virtqueue& queue() { return *queue_; }
  // Nothing is in flight any more.
  void Reset();

  // Each: false, no slot is free. The caller notifies the device when Publish
  // says so.
  bool SetPromiscuous(bool on);
  bool SetAllMulticast(bool on);
  bool SetMulticast(std::span<const MacAddress> addresses);
  // How many queue pairs are in use (5.1.6.5.6.1).
  bool SetPairs(uint16_t pairs);
  // Of the receive queues of so many pairs.
  bool AskStatistics(uint32_t pairs);
  [[nodiscard]] bool Publish() { return queue_->Publish(); }

  // Takes the answers that have come. A command that the device refused is
  // logged, once for each kind.
  void Reap();
  size_t in_flight() const { return in_flight_; }
  // Frames that found no buffer, since the device's reset; empty: no answer
  // since the last call.
  std::optional<uint64_t> TakeDropped();
  // Whether SetPairs was obeyed, likewise.
  std::optional<bool> TakePairsSet();

 private:
  struct Slot {
    bool busy = false;
    uint8_t command_class = 0;
    size_t reply_bytes = 0;  // Before the acknowledgement.
  };

  std::span<uint8_t> Bytes(size_t slot) const {
    return memory_.As<uint8_t>(offset_ + slot * kSlotBytes, kSlotBytes);
  }
  bool Send(uint8_t command_class, uint8_t command,
            std::span<const uint8_t> data, size_t reply_bytes = 0);
  void NoteRefusal(uint8_t command_class);
  void TakeStatistics(std::span<const uint8_t> reply);

  const std::unique_ptr<Virtqueue> queue_;
  const DmaMemory& memory_;
  const size_t offset_;
  std::array<Slot, kSlots> slots_;
  size_t in_flight_ = 0;
  std::optional<uint64_t> dropped_;
  std::optional<bool> pairs_set_;
  uint32_t refused_classes_ = 0;  // Bits of those that were logged.
};

}  // namespace bulkhead::nic_driver::virtio_net

#endif  // BULKHEAD_NIC_DRIVER_VIRTIO_NET_CONTROL_QUEUE_H_
