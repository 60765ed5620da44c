#include "nic_model/virtio_net/common_config.h"

#include <bit>
#include <cstring>

namespace bulkhead::nic_model::virtio_net {
namespace {

// The width of the field at `offset`; 0: no field begins there.
constexpr uint32_t WidthOf(uint32_t offset) {
  switch (offset) {
    case kDeviceFeatureSelect:
    case kDeviceFeature:
    case kDriverFeatureSelect:
    case kDriverFeature:
    case kQueueDesc:
    case kQueueDesc + 4:
    case kQueueDriver:
    case kQueueDriver + 4:
    case kQueueDevice:
    case kQueueDevice + 4:
      return 4;
    case kDeviceStatus:
    case kConfigGeneration:
      return 1;
    case kConfigMsixVector:
    case kNumQueues:
    case kQueueSelect:
    case kQueueSize:
    case kQueueMsixVector:
    case kQueueEnable:
    case kQueueNotifyOff:
    case kQueueNotifyData:
    case kQueueReset:
      return 2;
    default:
      return 0;
  }
}

void SetHalf(uint64_t* value, bool high, uint32_t half) {
  *value = high ? (*value & 0xffffffff) | uint64_t{half} << 32
                : (*value & ~uint64_t{0xffffffff}) | half;
}

uint32_t Half(uint64_t value, uint32_t select) {
  return select > 1 ? 0 : static_cast<uint32_t>(value >> (32 * select));
}

uint16_t VectorOrNone(uint64_t value) {
  return value < kMsixVectors ? static_cast<uint16_t>(value) : kNoVector;
}

}  // namespace

void CommonConfig::Reset() {
  status_ = 0;
  device_feature_select_ = driver_feature_select_ = 0;
  driver_features_ = 0;
  config_vector_ = kNoVector;
  queue_select_ = 0;
  for (uint32_t i = 0; i < kQueues; ++i) {
    queues_[i] = {};
    queues_[i].addresses.size = MaxSize(i);
  }
}

void CommonConfig::Read(uint32_t offset, std::span<uint8_t> data) const {
  std::array<uint8_t, kCommonBytes> image = {};
  const auto put = [&image]<typename T>(uint32_t at, T value) {
    std::memcpy(image.data() + at, &value, sizeof(value));
  };
  put(kDeviceFeatureSelect, device_feature_select_);
  put(kDeviceFeature, Half(offered_, device_feature_select_));
  put(kDriverFeatureSelect, driver_feature_select_);
  put(kDriverFeature, Half(driver_features_, driver_feature_select_));
  put(kConfigMsixVector, config_vector_);
  put(kNumQueues, static_cast<uint16_t>(kQueues));
  put(kDeviceStatus, status_);
  put(kConfigGeneration, generation_);
  put(kQueueSelect, queue_select_);
  // 4.1.4.3.1: a queue that is not there has size 0.
  const uint32_t number = selected();
  if (number < kQueues) {
    const Queue& queue = queues_[number];
    put(kQueueSize, queue.addresses.size);
    put(kQueueMsixVector, queue.vector);
    put(kQueueEnable, static_cast<uint16_t>(queue.enabled));
    put(kQueueNotifyOff, static_cast<uint16_t>(number));
    put(kQueueDesc, queue.addresses.desc);
    put(kQueueDriver, queue.addresses.driver);
    put(kQueueDevice, queue.addresses.device);
    put(kQueueNotifyData, queue_select_);
  }
  std::memcpy(data.data(), image.data() + offset, data.size());
}

CommonConfig::Effect CommonConfig::Write(uint32_t offset,
                                         std::span<const uint8_t> data) {
  if (data.size() != WidthOf(offset)) return Effect::kNone;
  uint32_t value = 0;
  std::memcpy(&value, data.data(), data.size());
  switch (offset) {
    case kDeviceFeatureSelect:
      device_feature_select_ = value;
      return Effect::kNone;
    case kDriverFeatureSelect:
      driver_feature_select_ = value;
      return Effect::kNone;
    case kDriverFeature:
      // 2.2.1: not after FEATURES_OK.
      if ((status_ & kFeaturesOk) == 0 && driver_feature_select_ < 2) {
        SetHalf(&driver_features_, driver_feature_select_ == 1, value);
      }
      return Effect::kNone;
    case kConfigMsixVector:
      config_vector_ = VectorOrNone(value);
      return Effect::kNone;
    case kDeviceStatus:
      return WriteStatus(static_cast<uint8_t>(value));
    case kQueueSelect:
      queue_select_ = static_cast<uint16_t>(value);
      return Effect::kNone;
    default:
      return selected() < kQueues
                 ? WriteQueue(offset, value, queues_[selected()])
                 : Effect::kNone;
  }
}

CommonConfig::Effect CommonConfig::WriteStatus(uint8_t value) {
  if (value == 0) return Effect::kReset;
  // 2.1.1: bits are set, never cleared; NEEDS_RESET is the device's.
  uint8_t fresh = static_cast<uint8_t>(value & ~status_ & ~kNeedsReset);
  if ((fresh & kFeaturesOk) != 0 && !FeaturesMakeSense()) {
    fresh = static_cast<uint8_t>(fresh & ~kFeaturesOk);
  }
  status_ |= fresh;
  return Effect::kStatus;
}

bool CommonConfig::FeaturesMakeSense() const {
  const auto needs = [this](uint64_t feature, uint64_t other) {
    return (driver_features_ & feature) == 0 || (driver_features_ & other) != 0;
  };
  return (driver_features_ & ~offered_) == 0 &&
         // 6.1: modern only. 6.2: this NIC is behind an IOMMU.
         (driver_features_ & kVersion1) != 0 &&
         (driver_features_ & kAccessPlatform) != 0 &&
         // 5.1.3.1.
         needs(kHostTso4, kCsum) && needs(kHostTso6, kCsum) &&
         needs(kCtrlRx, kCtrlVq) && needs(kCtrlGuestOffloads, kCtrlVq) &&
         needs(kMq, kCtrlVq) && needs(kDeviceStats, kCtrlVq);
}

bool CommonConfig::Placed(const Queue& queue) const {
  const QueueAddresses& at = queue.addresses;
  if (at.size == 0 || at.desc == 0 || at.driver == 0 || at.device == 0) {
    return false;
  }
  // 2.7, 2.8: sizes and alignments.
  const bool packed = Has(kRingPacked);
  return at.desc % 16 == 0 && at.driver % (packed ? 4 : 2) == 0 &&
         at.device % 4 == 0 && (packed || std::has_single_bit(at.size));
}

CommonConfig::Effect CommonConfig::WriteQueue(uint32_t offset, uint64_t value,
                                              Queue& queue) {
  if (offset == kQueueReset) {
    // 2.6.1: only with VIRTIO_F_RING_RESET; done before this returns, so that
    // it always reads as 0.
    if (value != 1 || !Has(kRingReset)) return Effect::kNone;
    queue = {};
    queue.addresses.size = MaxSize(selected());
    return Effect::kQueueReset;
  }
  if (offset == kQueueMsixVector) {
    queue.vector = VectorOrNone(value);
    return Effect::kNone;
  }
  // 4.1.4.3.2: a queue that is enabled is not changed.
  if (queue.enabled) return Effect::kNone;
  const auto half = static_cast<uint32_t>(value);
  switch (offset) {
    case kQueueSize:
      if (value <= MaxSize(selected())) {
        queue.addresses.size = static_cast<uint16_t>(value);
      }
      return Effect::kNone;
    case kQueueEnable:
      if (value != 1 || !Has(kVersion1) || !Placed(queue)) {
        return Effect::kNone;
      }
      queue.enabled = true;
      return Effect::kQueue;
    case kQueueDesc:
    case kQueueDesc + 4:
      SetHalf(&queue.addresses.desc, offset != kQueueDesc, half);
      return Effect::kNone;
    case kQueueDriver:
    case kQueueDriver + 4:
      SetHalf(&queue.addresses.driver, offset != kQueueDriver, half);
      return Effect::kNone;
    case kQueueDevice:
    case kQueueDevice + 4:
      SetHalf(&queue.addresses.device, offset != kQueueDevice, half);
      return Effect::kNone;
    default:
      return Effect::kNone;
  }
}

}  // namespace bulkhead::nic_model::virtio_net
