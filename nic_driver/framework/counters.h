// What a driver instance counts, in a page that outlives it: the driver writes,
// the platform service reads and keeps the sum over generations.
#ifndef BULKHEAD_NIC_DRIVER_FRAMEWORK_COUNTERS_H_
#define BULKHEAD_NIC_DRIVER_FRAMEWORK_COUNTERS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace bulkhead::nic_driver {

// One block for each queue. Names follow Linux's rtnl_link_stats64. Every frame
// that goes no further is in exactly one dropped counter (S8). One writer,
// relaxed stores.
struct DriverCounters {
  std::atomic<uint64_t> rx_packets;  // Published to a session.
  std::atomic<uint64_t> rx_bytes;
  std::atomic<uint64_t> tx_packets;  // Acknowledged by the device.
  std::atomic<uint64_t> tx_bytes;
  std::atomic<uint64_t> rx_missed_errors;    // Device had no buffer (MPC).
  std::atomic<uint64_t> rx_errors;           // Device flagged the frame bad.
  std::atomic<uint64_t> rx_length_errors;    // Longer than a session takes.
  std::atomic<uint64_t> rx_no_session;       // Arrived with no session open.
  std::atomic<uint64_t> tx_dropped_invalid;  // The session offered nonsense.
  std::atomic<uint64_t> tx_dropped_link;     // No link.
  std::atomic<uint64_t> tx_device_errors;    // Device refused the frame.
  std::atomic<uint64_t> interrupts;
  std::atomic<uint64_t> wakeups;  // Doorbells from the client.
};

// Blocks lie so far apart that threads of different queues share no cache line,
// nor two that are fetched together.
constexpr size_t kCounterBlockBytes = 128;
constexpr size_t kMaxCounterBlocks = 16;
static_assert(sizeof(DriverCounters) <= kCounterBlockBytes);
static_assert(kMaxCounterBlocks * kCounterBlockBytes <= 4096);

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_FRAMEWORK_COUNTERS_H_
