// The four rings of an XDP socket (Linux, Documentation/networking/af_xdp.rst):
// single producer, single consumer, free-running indices of 32 bits.
//
// The kernel is at the other end. It is believed about its index no further
// than the ring is long: what lies beyond was never there.
#ifndef BULKHEAD_NIC_DRIVER_AF_XDP_XDP_RING_H_
#define BULKHEAD_NIC_DRIVER_AF_XDP_XDP_RING_H_

#include <linux/if_xdp.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <utility>

#include "base/shared_memory.h"

namespace bulkhead::nic_driver {

// T: xdp_desc of the receive and transmit ring, uint64_t of the other two.
template <typename T>
class XdpRing {
 public:
  XdpRing() = default;
  XdpRing(Mapping mapping, const xdp_ring_offset& offsets, uint32_t entries)
      : mapping_(std::move(mapping)),
        producer_(mapping_.As<uint32_t>(offsets.producer)),
        consumer_(mapping_.As<uint32_t>(offsets.consumer)),
        flags_(mapping_.As<uint32_t>(offsets.flags)),
        entries_(mapping_.As<T>(offsets.desc)),
        mask_(entries - 1) {}

  uint32_t capacity() const { return mask_ + 1; }
  // The kernel waits for a system call before it looks at the ring.
  bool NeedsWakeup() const {
    return (Shared(flags_).load(std::memory_order_relaxed) &
            XDP_RING_NEED_WAKEUP) != 0;
  }

  // --- As producer ---
  // Acquire: pairs with the kernel's release of its index; it has read what we
  // are about to overwrite.
  uint32_t Free() {
    const uint32_t consumed = Shared(consumer_).load(std::memory_order_acquire);
    return capacity() - std::min(capacity(), tail_ - consumed);
  }
  // The kernel has not seen all of it yet.
  bool Pending() const {
    return Shared(consumer_).load(std::memory_order_relaxed) != tail_;
  }
  uint32_t consumed() const {
    return Shared(consumer_).load(std::memory_order_relaxed);
  }
  // Requires room; seen by the kernel after Publish.
  void Put(const T& entry) { entries_[tail_++ & mask_] = entry; }
  // Release: the entries before the index.
  void Publish() { Shared(producer_).store(tail_, std::memory_order_release); }

  // --- As consumer ---
  // Acquire: pairs with the kernel's release; the entries are there.
  uint32_t Available() {
    const uint32_t produced = Shared(producer_).load(std::memory_order_acquire);
    return std::min(capacity(), produced - tail_);
  }
  // The one `ahead` of the oldest; a copy, since it is looked at once.
  T Peek(uint32_t ahead) const { return entries_[(tail_ + ahead) & mask_]; }
  // Release: our reads come before the kernel's next writes.
  void Release(uint32_t count) {
    tail_ += count;
    Shared(consumer_).store(tail_, std::memory_order_release);
  }

 private:
  static std::atomic_ref<uint32_t> Shared(uint32_t* index) {
    return std::atomic_ref<uint32_t>(*index);
  }

  Mapping mapping_;
  uint32_t* producer_ = nullptr;
  uint32_t* consumer_ = nullptr;
  uint32_t* flags_ = nullptr;
  T* entries_ = nullptr;
  uint32_t mask_ = 0;
  uint32_t tail_ = 0;  // Our own index; never read back.
};

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_AF_XDP_XDP_RING_H_
