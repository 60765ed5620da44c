// Moves frames between one lane of a session and one queue of a driver: what is
// the same for every NIC. Each refused frame is counted in exactly one counter
// (S8).
//
//   client ─tx submit→ TakeTx ─check→ TxSubmit → NIC → TxReap ─→ AckTx
//   client ←rx submit─ SubmitRx ←──── RxHarvest ← NIC ← RxRefill ← TakeFreeRx
//
// Data-blind (S3): it computes tx_iova + offset and rx_iova + buffer ×
// buffer_bytes, and maps neither.
#ifndef BULKHEAD_NIC_DRIVER_FRAMEWORK_DATA_PATH_H_
#define BULKHEAD_NIC_DRIVER_FRAMEWORK_DATA_PATH_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>

#include "nic_driver/framework/counters.h"
#include "nic_driver/framework/driver.h"
#include "packet_stream/provider.h"

namespace bulkhead::nic_driver {

// What a frame must keep to before it reaches the device.
struct TxLimits {
  uint32_t min_frame_bytes = 14;
  uint32_t max_frame_bytes = 1518;  // Without FCS, with a VLAN tag.
  uint32_t max_checksum_position = 0;
  bool only_tcp_udp_checksums = false;
  uint32_t max_segment_header_bytes = 0;  // 0: no segmentation.
  uint32_t max_pieces = kMaxFramePieces;
  bool checksum = false;  // kChecksumNeeded is served.
  bool link_up = false;
};

// Requires: `queue` and `counters` outlive it; the driver is started while a
// session is open.
// Threading: one thread.
class DataPath {
 public:
  // Rx buffers that the device gets at a time: many, so that the receiver of a
  // fresh driver is filled with a few doorbells.
  static constexpr size_t kRefillBuffers = 4 * kBatchPieces;

  DataPath(Queue& queue, DriverCounters& counters)
      : queue_(queue), counters_(counters) {}

  void Open(std::unique_ptr<packet_stream::ProviderEnd> session,
            uint64_t tx_iova, uint64_t rx_iova);
  // Forgets the session; `report` says what the rings still held.
  void Close(const StopReport& report);
  void SetLimits(const TxLimits& limits) { limits_ = limits; }

  // The session that is open; nullptr when none is.
  packet_stream::ProviderEnd* session() const { return session_.get(); }

  // One batch of each verb. True: something moved.
  [[nodiscard]] bool Poll();
  // Frames wait in the session for which the device has no room, so that the
  // doorbell's re-check would not let us sleep.
  bool tx_blocked() const { return tx_blocked_; }

  // Frames ever moved either way, and whether the device holds frames to send:
  // what the heartbeat calls progress. From any thread.
  uint64_t frames_moved() const {
    return frames_moved_.load(std::memory_order_relaxed);
  }
  bool tx_pending() const {
    return tx_frames_held_.load(std::memory_order_relaxed) > 0;
  }

 private:
  size_t ReapTx();
  size_t SubmitTx();
  size_t HarvestRx();
  void CountPublished();
  size_t RefillRx();
  bool ServesChecksum(const packet_stream::Descriptor& first) const;
  // Decides on one frame, and queues its pieces for the device or their
  // acknowledgements.
  void SortFrame(std::span<const packet_stream::Descriptor> frame);
  void Refuse(std::span<const packet_stream::Descriptor> frame,
              packet_stream::AckStatus status);

  Queue& queue_;
  DriverCounters& counters_;
  std::unique_ptr<packet_stream::ProviderEnd> session_;
  uint64_t tx_iova_ = 0;
  uint64_t rx_iova_ = 0;
  uint32_t buffer_shift_ = 0;  // log2 of buffer_bytes.
  TxLimits limits_;
  bool tx_blocked_ = false;
  std::atomic<uint64_t> frames_moved_ = 0;
  uint64_t rx_unpublished_frames_ = 0;  // Harvested, not yet flushed.
  uint64_t rx_unpublished_bytes_ = 0;
  std::atomic<uint64_t> tx_frames_held_ = 0;

  // Scratch of one batch; here, so that it is not initialised at every turn.
  std::array<TxDone, kBatchPieces> done_;
  std::array<packet_stream::Ack, kBatchPieces> acks_;
  std::array<packet_stream::Descriptor, kBatchPieces> descriptors_;
  std::array<TxPiece, kBatchPieces> to_device_;
  size_t to_device_count_ = 0;
  size_t to_device_frames_ = 0;
  size_t refused_count_ = 0;  // In acks_.
  std::array<RxPiece, kBatchPieces> harvested_;
  std::array<uint32_t, kRefillBuffers> numbers_;
  std::array<RxBuffer, kRefillBuffers> buffers_;
};

// Adds to a counter that only we write.
inline void Bump(std::atomic<uint64_t>& counter, uint64_t by = 1) {
  counter.store(counter.load(std::memory_order_relaxed) + by,
                std::memory_order_relaxed);
}

void CountStatistics(const DeviceStatistics& statistics,
                     DriverCounters& counters);

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_FRAMEWORK_DATA_PATH_H_
