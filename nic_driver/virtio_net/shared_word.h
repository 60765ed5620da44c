// A word of a ring that driver and device watch: each stores its own and then
// loads the other's, and the two must not change places, or both go to sleep.
#ifndef BULKHEAD_NIC_DRIVER_VIRTIO_NET_SHARED_WORD_H_
#define BULKHEAD_NIC_DRIVER_VIRTIO_NET_SHARED_WORD_H_

#include <atomic>
#include <cstdint>

#ifdef __x86_64__
#include <emmintrin.h>
#endif

namespace bulkhead::nic_driver::virtio_net {

inline uint16_t Load(uint16_t& word) {
  return std::atomic_ref(word).load(std::memory_order_seq_cst);
}

// Later loads come after it. A locked instruction, which is what a sequentially
// consistent store becomes, does the same on a processor; but an emulator of one
// thread (QEMU's tcg,thread=single) takes it apart, and its devices, which have
// a thread of their own, can tell. A fence instruction it passes on.
inline void Store(uint16_t& word, uint16_t value) {
  std::atomic_ref(word).store(value, std::memory_order_release);
#ifdef __x86_64__
  _mm_mfence();
#else
  std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

}  // namespace bulkhead::nic_driver::virtio_net

#endif  // BULKHEAD_NIC_DRIVER_VIRTIO_NET_SHARED_WORD_H_
