// The transmit queue: chains of a header and a frame, to the network.
// Virtio 1.2, section 5.1.6.2.
#ifndef BULKHEAD_NIC_MODEL_VIRTIO_NET_TRANSMITTER_H_
#define BULKHEAD_NIC_MODEL_VIRTIO_NET_TRANSMITTER_H_

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "nic_model/counters.h"
#include "nic_model/dma_map.h"
#include "nic_model/network/network.h"
#include "nic_model/virtio_net/segmentation.h"
#include "nic_model/virtio_net/steering.h"
#include "nic_model/virtio_net/virtqueue.h"

namespace bulkhead::nic_model::virtio_net {

// Every frame ends as tx_frames, tx_bad or network_dropped (S8); of a packet
// that is to be segmented, each of its frames. A chain that holds none, or lies
// outside the DMA map, is given back and counted bad.
class Transmitter {
 public:
  // Of queue pair `pair`. All outlive it.
  Transmitter(DmaMap& dma, PortCounters& counters, Steering& steering,
              uint32_t pair)
      : dma_(dma), counters_(counters), steering_(steering), pair_(pair) {}

  enum class Outcome : uint8_t {
    kIdle,    // Nothing more to send.
    kMore,    // The budget was used up.
    kBusy,    // The network takes no more: Resume, then Process.
    kBroken,  // The ring makes no sense.
  };
  // Sends up to `budget` chains; `features` are those negotiated.
  Outcome Process(Virtqueue& queue, Network& network, uint32_t budget,
                  bool link_up, uint64_t features);
  void Resume() { busy_ = false; }
  // The queue is gone; so is a frame under way: the host was not told that it
  // was sent.
  void Reset() { busy_ = assembled_ = false; }

  uint64_t frames_done() const { return frames_done_; }

 private:
  // The frame of chain_ to frame_; false: there is none.
  bool Gather(uint64_t features);
  // What the header asks for before it is sent; false: that cannot be.
  bool Prepare(const NetHeader& header, uint64_t features);
  // Each, false: the network is busy.
  bool Send(Network& network, bool link_up);
  bool SendSegments(Network& network, bool link_up);
  bool SendOnWire(Network& network, std::span<uint8_t> frame, bool link_up);

  DmaMap& dma_;
  PortCounters& counters_;
  Steering& steering_;
  const uint32_t pair_;
  Chain chain_;
  std::array<uint8_t, kMaxSegmentedBytes> frame_;
  size_t bytes_ = 0;
  std::optional<Segmentation> plan_;  // Of frame_.
  size_t cut_ = 0;                    // Payload of it that was sent.
  std::array<uint8_t, kMaxFrameBytes> segment_;
  bool assembled_ = false;  // chain_ was taken and is not given back yet.
  bool good_ = false;
  bool busy_ = false;
  uint64_t frames_done_ = 0;
};

}  // namespace bulkhead::nic_model::virtio_net

#endif  // BULKHEAD_NIC_MODEL_VIRTIO_NET_TRANSMITTER_H_
