// The control queue: commands that the driver sends, each with an answer.
// Virtio 1.2, section 5.1.6.5.
#ifndef BULKHEAD_NIC_MODEL_VIRTIO_NET_CONTROL_H_
#define BULKHEAD_NIC_MODEL_VIRTIO_NET_CONTROL_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "nic_model/dma_map.h"
#include "nic_model/virtio_net/receiver.h"
#include "nic_model/virtio_net/rx_filter.h"
#include "nic_model/virtio_net/virtqueue.h"

namespace bulkhead::nic_model::virtio_net {

class Control {
 public:
  // All outlive it. `set_pairs` carries out VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, or
  // returns false.
  Control(DmaMap& dma, RxFilter& filter, std::deque<Receiver>& receivers,
          std::function<bool(uint32_t pairs)> set_pairs)
      : dma_(dma),
        filter_(filter),
        receivers_(receivers),
        set_pairs_(std::move(set_pairs)) {}

  // Carries out at most `budget` commands; `features` are those negotiated.
  // False: the queue is broken.
  bool Process(Virtqueue& queue, uint64_t features, uint32_t budget);

 private:
  // Longer commands are refused: a MAC table of a thousand entries fits.
  static constexpr size_t kMaxCommandBytes = 8192;

  bool Execute(std::span<const uint8_t> command, uint64_t features);
  bool SetRxMode(uint8_t command, std::span<const uint8_t> data);
  bool SetMacTable(std::span<const uint8_t> data);
  bool SetOffloads(std::span<const uint8_t> data, uint64_t features);
  bool GetStatistics(uint8_t command, std::span<const uint8_t> data,
                     uint64_t features);
  void AppendStatistics(uint16_t queue);

  DmaMap& dma_;
  RxFilter& filter_;
  std::deque<Receiver>& receivers_;
  const std::function<bool(uint32_t)> set_pairs_;
  Chain chain_;
  std::vector<uint8_t> command_;
  std::vector<uint8_t> result_;  // Precedes the acknowledgement.
};

}  // namespace bulkhead::nic_model::virtio_net

#endif  // BULKHEAD_NIC_MODEL_VIRTIO_NET_CONTROL_H_
