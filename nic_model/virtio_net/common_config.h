// The common configuration structure: status, features, queues. Virtio 1.2,
// section 4.1.4.3, and the order of initialisation in 3.1.1.
//
// A driver that does what the specification forbids is not obeyed: features
// that were not offered, or without what they need, leave FEATURES_OK clear; a
// queue that is misplaced stays off.
#ifndef BULKHEAD_NIC_MODEL_VIRTIO_NET_COMMON_CONFIG_H_
#define BULKHEAD_NIC_MODEL_VIRTIO_NET_COMMON_CONFIG_H_

#include <array>
#include <cstdint>
#include <span>

#include "nic_model/virtio_net/layout.h"
#include "nic_model/virtio_net/virtqueue.h"

namespace bulkhead::nic_model::virtio_net {

class CommonConfig {
 public:
  struct Queue {
    QueueAddresses addresses;
    uint16_t vector = kNoVector;
    bool enabled = false;
  };
  // What a write asks of the device besides.
  enum class Effect : uint8_t { kNone, kReset, kStatus, kQueue, kQueueReset };

  explicit CommonConfig(uint64_t offered) : offered_(offered) { Reset(); }
  void Reset();

  // Any part of the structure. Requires: inside of it.
  void Read(uint32_t offset, std::span<uint8_t> data) const;
  // A whole field (4.1.3.1); anything else is ignored.
  Effect Write(uint32_t offset, std::span<const uint8_t> data);

  uint8_t status() const { return status_; }
  // The driver runs the device.
  bool live() const {
    constexpr uint8_t kLive = kFeaturesOk | kDriverOk;
    return (status_ & kLive) == kLive && (status_ & kNeedsReset) == 0;
  }
  void set_needs_reset() { status_ |= kNeedsReset; }
  uint64_t features() const { return driver_features_; }
  bool Has(uint64_t feature) const {
    return (status_ & kFeaturesOk) != 0 && (driver_features_ & feature) != 0;
  }
  // By number, see layout.h.
  const Queue& queue(uint32_t number) const { return queues_[number]; }
  // The number of the queue that is selected; kQueues: there is no such queue.
  uint32_t selected() const { return NumberOf(queue_select_); }
  uint16_t config_vector() const { return config_vector_; }
  void BumpGeneration() { ++generation_; }

 private:
  static uint16_t MaxSize(uint32_t number) {
    return number == kControlQueue ? kControlQueueSize : kMaxQueueSize;
  }
  // Which queues there are is known once the features are (5.1.2).
  uint32_t NumberOf(uint32_t index) const {
    if (Has(kMq)) return index < kQueues ? index : kQueues;
    if (index == kControlIndexOfOnePair) return kControlQueue;
    return index < kControlIndexOfOnePair ? index : kQueues;
  }
  Effect WriteStatus(uint8_t value);
  bool FeaturesMakeSense() const;
  Effect WriteQueue(uint32_t offset, uint64_t value, Queue& queue);
  bool Placed(const Queue& queue) const;

  const uint64_t offered_;
  uint8_t status_;
  uint8_t generation_ = 0;
  uint32_t device_feature_select_;
  uint32_t driver_feature_select_;
  uint64_t driver_features_;
  uint16_t config_vector_;
  uint16_t queue_select_;
  std::array<Queue, kQueues> queues_;
};

}  // namespace bulkhead::nic_model::virtio_net

#endif  // BULKHEAD_NIC_MODEL_VIRTIO_NET_COMMON_CONFIG_H_
