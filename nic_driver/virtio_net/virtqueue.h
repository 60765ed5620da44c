// The driver's end of a virtqueue. Two kinds: split_ring.cc, packed_ring.cc.
//
// The device may write anything anywhere in the ring (S7): what is needed to
// know which buffers it holds is kept in private memory; from the ring come
// completions alone, and one that names nothing in flight is passed over.
//
// Threading: one thread, and the device.
#ifndef BULKHEAD_NIC_DRIVER_VIRTIO_NET_VIRTQUEUE_H_
#define BULKHEAD_NIC_DRIVER_VIRTIO_NET_VIRTQUEUE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "nic_driver/framework/dma_memory.h"

namespace bulkhead::nic_driver::virtio_net {

struct Segment {
  uint64_t iova = 0;
  uint32_t bytes = 0;
  bool device_writes = false;  // Such segments come last.
};

// A buffer that the device is done with.
struct Completion {
  uint16_t cookie = 0;
  uint32_t bytes = 0;  // Written, as the device says.
};

// Where the three parts of the ring lie, as the device knows them.
struct RingAddresses {
  uint64_t desc = 0;
  uint64_t driver = 0;
  uint64_t device = 0;
};

class Virtqueue {
 public:
  virtual ~Virtqueue() = default;

  virtual uint16_t size() const = 0;
  virtual RingAddresses addresses() const = 0;

  // How many segments can be added.
  virtual uint16_t room() const = 0;
  // Queues one buffer. `cookie` (< size) is in flight from now on, and was not.
  // Requires: 1 ≤ segments.size() ≤ room().
  virtual void Add(std::span<const Segment> segments, uint16_t cookie) = 0;
  // Shows the device what was added. True: it wants to be notified.
  [[nodiscard]] virtual bool Publish() = 0;

  // The oldest completion; Pop takes it.
  virtual bool Peek(Completion* completion) = 0;
  virtual void Pop() = 0;

  // The next completion interrupts; the caller looks once more afterwards.
  virtual void ArmInterrupt() = 0;
  virtual void DisarmInterrupt() = 0;

  // The device has let go of the ring: it is as new, and nothing is in flight.
  virtual void Reset() = 0;

 protected:
  // Whether the step from `old` to `now` passes `event` (2.7.10).
  static bool Passes(uint16_t event, uint16_t now, uint16_t old) {
    return static_cast<uint16_t>(now - event - 1) <
           static_cast<uint16_t>(now - old);
  }
};

// Bytes of zeroed memory that a ring needs, at an offset of a multiple of 16.
size_t SplitRingBytes(uint16_t size);
size_t PackedRingBytes(uint16_t size);

// `memory` outlives the queue; the ring begins `offset` bytes into it. `size`
// of a split ring is a power of two. Its interrupts are armed.
std::unique_ptr<Virtqueue> MakeSplitRing(const DmaMemory& memory, size_t offset,
                                         uint16_t size, bool event_idx);
std::unique_ptr<Virtqueue> MakePackedRing(const DmaMemory& memory,
                                          size_t offset, uint16_t size,
                                          bool event_idx);

}  // namespace bulkhead::nic_driver::virtio_net

#endif  // BULKHEAD_NIC_DRIVER_VIRTIO_NET_VIRTQUEUE_H_
