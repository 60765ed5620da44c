// The receive queue: frames from the network, behind a header, into the chains
// that the driver made available. Virtio 1.2, section 5.1.6.3 and .4.
#ifndef BULKHEAD_NIC_MODEL_VIRTIO_NET_RECEIVER_H_
#define BULKHEAD_NIC_MODEL_VIRTIO_NET_RECEIVER_H_

#include <array>
#include <cstdint>
#include <span>

#include "nic_model/counters.h"
#include "nic_model/dma_map.h"
#include "nic_model/faults.h"
#include "nic_model/frames/frame_fifo.h"
#include "nic_model/model.h"
#include "nic_model/virtio_net/rx_filter.h"
#include "nic_model/virtio_net/virtqueue.h"

namespace bulkhead::nic_model::virtio_net {

// Every frame offered ends in one of the rx_ counters (S8). Between network and
// queue there is a small FIFO, as between a real device's wire and its DMA.
class Receiver {
 public:
  // Bytes of the FIFO.
  static constexpr size_t kFifoBytes = 20 * 1024;

  Receiver(DmaMap& dma, PortCounters& counters, const Faults& faults)
      : dma_(dma), counters_(counters), faults_(faults) {
    fifo_.set_capacity(kFifoBytes);
  }

  // What the driver negotiated. `queue` null: there is none now.
  void Open(Virtqueue* queue, bool mergeable);
  // Not running, or no link: frames are not taken, and none waits.
  void set_running(bool running);
  void set_checksums(bool on) { checksums_ = on; }

  void Receive(std::span<const uint8_t> frame, const RxFilter& filter,
               const Mac& own);
  // Buffers may have come.
  void Drain();
  // The batch is over: false when the queue is broken.
  [[nodiscard]] bool EndBatch();
  bool HasBuffers() const { return queue_ != nullptr && queue_->HasChain(); }

  uint64_t frames_done() const { return frames_done_; }
  // Frames for which there was no buffer, since the device's reset.
  uint64_t missed() const { return missed_; }
  uint64_t delivered() const { return delivered_; }
  void ResetStatistics() { missed_ = delivered_ = 0; }

 private:
  // The most chains that one frame is merged of.
  static constexpr size_t kMaxMerged = 64;

  enum class Fit : uint8_t { kFits, kNoBuffer, kTooLong, kBroken };

  void Account(std::atomic<uint64_t>& counter);
  // Takes the chains for a frame of `bytes`, or none.
  Fit TakeChains(size_t bytes);
  Fit Deliver(std::span<const uint8_t> frame);
  bool WriteFrame(std::span<const uint8_t> frame);

  DmaMap& dma_;
  PortCounters& counters_;
  const Faults faults_;
  Virtqueue* queue_ = nullptr;
  bool mergeable_ = false;
  bool checksums_ = false;
  bool running_ = false;
  bool broken_ = false;
  FrameFifo fifo_;
  std::array<Chain, kMaxMerged> chains_;
  size_t chain_count_ = 0;
  std::array<uint8_t, kMaxFrameBytes> scratch_;
  uint64_t frames_done_ = 0;
  uint64_t missed_ = 0;
  uint64_t delivered_ = 0;
};

}  // namespace bulkhead::nic_model::virtio_net

#endif  // BULKHEAD_NIC_MODEL_VIRTIO_NET_RECEIVER_H_
