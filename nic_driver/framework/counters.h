// What a driver instance counts, in a page that outlives it: the driver writes,
// the platform service reads and keeps the sum over generations.
#ifndef BULKHEAD_NIC_DRIVER_FRAMEWORK_COUNTERS_H_
#define BULKHEAD_NIC_DRIVER_FRAMEWORK_COUNTERS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace bulkhead::nic_driver {

// One block for each queue. Names follow Linux's rtnl_link_stats64 where it has
// one. Every frame that goes no further is in exactly one counter (S8); what
// the device dropped by itself is its own word, read every five seconds. One
// writer, relaxed stores.
struct DriverCounters {
  std::atomic<uint64_t> rx_packets;  // Published to a session.
  std::atomic<uint64_t> rx_bytes;
  std::atomic<uint64_t> tx_packets;  // Acknowledged by the device.
  std::atomic<uint64_t> tx_bytes;
  std::atomic<uint64_t> rx_missed_errors;  // Device: it had no buffer.
  std::atomic<uint64_t> rx_crc_errors;     // Device: damaged.
  std::atomic<uint64_t> rx_frame_errors;   // Device: misaligned, no symbols.
  std::atomic<uint64_t> rx_length_errors;  // Device: too short or too long.
  std::atomic<uint64_t> rx_errors;         // The device flagged it bad.
  std::atomic<uint64_t> rx_too_long;       // More pieces than a session takes.
  std::atomic<uint64_t> rx_no_session;     // Arrived with no session open.
  std::atomic<uint64_t> tx_dropped_invalid;  // The session offered nonsense.
  std::atomic<uint64_t> tx_dropped_link;     // No link.
  std::atomic<uint64_t> tx_device_errors;    // Device refused the frame.
  std::atomic<uint64_t> multicast;           // Device: received; no drop.
  std::atomic<uint64_t> collisions;          // Device; half duplex only.
  std::atomic<uint64_t> rx_pause_frames;     // Device: flow control (802.3,
  std::atomic<uint64_t> tx_pause_frames;     // annex 31B).
  std::atomic<uint64_t> interrupts;
  std::atomic<uint64_t> wakeups;  // Doorbells from the client.
};

// Blocks lie so far apart that threads of different queues share no cache line,
// nor two that are fetched together.
constexpr size_t kCounterBlockBytes = 256;
constexpr size_t kMaxCounterBlocks = 16;
static_assert(sizeof(DriverCounters) <= kCounterBlockBytes);
static_assert(kMaxCounterBlocks * kCounterBlockBytes <= 4096);

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_FRAMEWORK_COUNTERS_H_
