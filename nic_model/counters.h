// What a simulated NIC saw, in a page that the platform service reads: an
// independent witness for the accounting of frames (S8).
#ifndef BULKHEAD_NIC_MODEL_COUNTERS_H_
#define BULKHEAD_NIC_MODEL_COUNTERS_H_

#include <atomic>
#include <cstdint>

namespace bulkhead::nic_model {

// Written by the model alone, never reset, not even by a device reset; a
// restarted model goes on counting where the dead one stopped. Frames unless
// said otherwise.
struct PortCounters {
  std::atomic<uint64_t> tx_frames;  // Sent to the network.
  std::atomic<uint64_t> tx_bytes;
  std::atomic<uint64_t> tx_bad;       // Malformed descriptors.
  std::atomic<uint64_t> rx_offered;   // Came from the network: the sum of
                                      // the rx_ counters below.
  std::atomic<uint64_t> rx_frames;    // Written to host memory.
  std::atomic<uint64_t> rx_missed;    // No free descriptor (MPC).
  std::atomic<uint64_t> rx_disabled;  // Receiver off, or in reset.
  std::atomic<uint64_t> rx_filtered;  // Not for this MAC.
  std::atomic<uint64_t> rx_oversize;
  std::atomic<uint64_t> network_dropped;  // The network took no more of our tx.
  std::atomic<uint64_t> dma_faults;       // Accesses outside the DMA map.
  std::atomic<uint64_t> interrupts;
  std::atomic<uint64_t> resets;
};
static_assert(sizeof(PortCounters) <= 4096);

// Adds to a counter of which this process is the one writer.
inline void Bump(std::atomic<uint64_t>& counter, uint64_t count = 1) {
  counter.store(counter.load(std::memory_order_relaxed) + count,
                std::memory_order_relaxed);
}

}  // namespace bulkhead::nic_model

#endif  // BULKHEAD_NIC_MODEL_COUNTERS_H_
