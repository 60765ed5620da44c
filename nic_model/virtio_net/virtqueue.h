// The device's end of a virtqueue: takes descriptor chains that the driver made
// available, and gives them back used. Two kinds: split_queue.h,
// packed_queue.h.
//
// What lies in the rings is hostile input (S7): each descriptor is read once; a
// chain is bounded by the ring's size, so that loops end; a ring that makes no
// sense is broken, which only a reset mends.
#ifndef BULKHEAD_NIC_MODEL_VIRTIO_NET_VIRTQUEUE_H_
#define BULKHEAD_NIC_MODEL_VIRTIO_NET_VIRTQUEUE_H_

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "nic_model/dma_map.h"
#include "nic_model/faults.h"

namespace bulkhead::nic_model::virtio_net {

// As the driver programmed it.
struct QueueAddresses {
  uint64_t desc = 0;
  uint64_t driver = 0;  // Split: available ring.
  uint64_t device = 0;  // Split: used ring.
  uint16_t size = 0;
};

struct Segment {
  uint64_t iova = 0;
  uint32_t bytes = 0;
};

// One buffer: device-readable segments, then device-writable ones.
struct Chain {
  uint16_t id = 0;
  uint16_t slots = 0;  // Packed: descriptors that it takes in the ring.
  std::vector<Segment> readable;
  std::vector<Segment> writable;

  uint64_t readable_bytes() const;
  uint64_t writable_bytes() const;
  void Clear();
};

// Copies from or to `segments` from byte `offset` on; false: outside of them or
// of the DMA map.
bool ReadSegments(DmaMap& dma, std::span<const Segment> segments,
                  uint64_t offset, std::span<uint8_t> out);
bool WriteSegments(DmaMap& dma, std::span<const Segment> segments,
                   uint64_t offset, std::span<const uint8_t> data);

class Virtqueue {
 public:
  enum class Taken : uint8_t { kChain, kEmpty, kBroken };
  // Where taking stands, to put back what was taken but not used.
  struct Mark {
    uint16_t index = 0;
    bool wrap = true;
  };

  virtual ~Virtqueue() = default;

  // The next chain. kBroken is final.
  virtual Taken Take(Chain* chain) = 0;
  virtual bool HasChain() = 0;
  virtual Mark mark() const = 0;
  // Requires: nothing taken since `mark` was given back used.
  virtual void Rewind(Mark mark) = 0;

  // Gives a chain back with `bytes` written to it; Publish makes all of them
  // visible to the driver. False: the ring is outside of the DMA map.
  virtual bool Put(const Chain& chain, uint32_t bytes) = 0;
  virtual bool Publish() = 0;
  // Whether the driver wants to be told of what was published since it was told
  // last.
  virtual bool ShouldInterrupt() = 0;
  // Asks for a notification of the next chain. The caller looks once more
  // afterwards: one may have come before the driver saw this.
  virtual void AskForKick() = 0;

 protected:
  // Whether the step from `old` to `now` passes `event` (2.7.10).
  static bool Passes(uint16_t event, uint16_t now, uint16_t old) {
    return static_cast<uint16_t>(now - event - 1) <
           static_cast<uint16_t>(now - old);
  }
};

struct QueueOptions {
  bool event_idx = false;
  bool indirect = false;
  Faults faults;
};

// `dma` outlives the queue.
std::unique_ptr<Virtqueue> MakeSplitQueue(DmaMap& dma,
                                          const QueueAddresses& addresses,
                                          const QueueOptions& options);
std::unique_ptr<Virtqueue> MakePackedQueue(DmaMap& dma,
                                           const QueueAddresses& addresses,
                                           const QueueOptions& options);

}  // namespace bulkhead::nic_model::virtio_net

#endif  // BULKHEAD_NIC_MODEL_VIRTIO_NET_VIRTQUEUE_H_
