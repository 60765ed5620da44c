// A device for protocol tests: memory for regions, and a log of what was asked.
#ifndef BULKHEAD_NIC_MODEL_VFIO_USER_FAKE_DEVICE_H_
#define BULKHEAD_NIC_MODEL_VFIO_USER_FAKE_DEVICE_H_

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "nic_model/vfio_user/device_ops.h"

namespace bulkhead::vfio_user {

// BAR0 of 64 KiB and config space of 256 bytes; region 1 can be read only.
// Every access outside aborts: the server promised that none gets here.
class FakeDevice : public DeviceOps {
 public:
  static constexpr uint64_t kBarBytes = 65536;

  RegionInfo Region(uint32_t index) const override {
    if (index == 0) return {kBarBytes, true, true};
    if (index == 1) return {16, true, false};
    if (index == kConfigRegion) return {256, true, true};
    return {};
  }
  std::span<const DoorbellOffer> Doorbells(uint32_t region) const override {
    if (region != 0) return {};
    return doorbells;
  }
  uint32_t IrqCount(uint32_t index) const override {
    return index == kMsixIrqIndex ? 5 : 0;
  }

  int ReadRegion(uint32_t region, uint64_t offset,
                 std::span<uint8_t> data) override {
    std::memcpy(data.data(), At(region, offset, data.size()), data.size());
    return 0;
  }
  int WriteRegion(uint32_t region, uint64_t offset,
                  std::span<const uint8_t> data) override {
    std::memcpy(At(region, offset, data.size()), data.data(), data.size());
    ++writes;
    return 0;
  }

  int ArmIrqs(uint32_t index, uint32_t start,
              std::vector<UniqueFd> events) override {
    if (start + events.size() > IrqCount(index)) std::abort();
    for (size_t i = 0; i < events.size(); ++i) {
      irqs[start + i] = std::move(events[i]);
    }
    return 0;
  }
  void DisarmIrqs(uint32_t index) override {
    if (index != kMsixIrqIndex) return;
    for (UniqueFd& irq : irqs) irq.Reset();
    ++disarms;
  }
  int TriggerIrq(uint32_t index, uint32_t vector) override {
    if (vector >= IrqCount(index)) std::abort();
    if (!irqs[vector].valid()) return EINVAL;
    const uint64_t one = 1;
    return ::write(irqs[vector].get(), &one, 8) == 8 ? 0 : EIO;
  }

  int MapDma(uint64_t iova, uint64_t bytes, UniqueFd memory, uint64_t, bool,
             bool) override {
    if (bytes == 0 || iova + (bytes - 1) < iova || !memory.valid()) {
      std::abort();
    }
    maps.emplace_back(iova, bytes);
    return 0;
  }
  int UnmapDma(uint64_t iova, uint64_t bytes) override {
    return std::erase(maps, std::make_pair(iova, bytes)) == 1 ? 0 : ENOENT;
  }
  void UnmapAllDma() override { maps.clear(); }

  void Reset() override { ++resets; }

  std::vector<DoorbellOffer> doorbells;
  std::array<UniqueFd, 5> irqs;
  std::vector<std::pair<uint64_t, uint64_t>> maps;
  int writes = 0;
  int disarms = 0;
  int resets = 0;

 private:
  uint8_t* At(uint32_t region, uint64_t offset, size_t bytes) {
    if (offset + bytes > Region(region).bytes || bytes == 0) std::abort();
    return region == 0   ? bar_.data() + offset
           : region == 1 ? small_.data() + offset
                         : config_.data() + offset;
  }

  std::array<uint8_t, kBarBytes> bar_ = {};
  std::array<uint8_t, 16> small_ = {};
  std::array<uint8_t, 256> config_ = {};
};

}  // namespace bulkhead::vfio_user

#endif  // BULKHEAD_NIC_MODEL_VFIO_USER_FAKE_DEVICE_H_
