// A BAR of plain memory, for tests of drivers without a model.
#ifndef BULKHEAD_NIC_DRIVER_FRAMEWORK_FAKE_DEVICE_H_
#define BULKHEAD_NIC_DRIVER_FRAMEWORK_FAKE_DEVICE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "nic_driver/framework/pci_device.h"

namespace bulkhead::nic_driver {

// Registers keep what is written to them, except where a test says otherwise.
// Everything that the driver did is in log(), in order.
class FakeDevice final : public PciDevice {
 public:
  enum class Verb : uint8_t { kRead, kWrite, kDoorbell };
  struct Access {
    Verb verb;
    uint32_t offset;
    uint32_t value;
    bool operator==(const Access&) const = default;
  };

  // Called instead of storing.
  void OnWrite(uint32_t offset, std::function<void(uint32_t)> handler) {
    on_write_[offset] = std::move(handler);
  }
  // Called instead of loading.
  void OnRead(uint32_t offset, std::function<uint32_t()> handler) {
    on_read_[offset] = std::move(handler);
  }
  uint32_t& operator[](uint32_t offset) { return registers_[offset]; }
  const std::vector<Access>& log() const { return log_; }
  void ClearLog() { log_.clear(); }
  uint32_t CountReads() const { return Count(Verb::kRead); }
  uint32_t CountWrites() const { return Count(Verb::kWrite); }
  uint32_t CountDoorbells() const { return Count(Verb::kDoorbell); }
  // Surprise removal.
  void Remove() { gone_ = true; }

  uint32_t Read32(int, uint32_t offset) override {
    const auto handler = on_read_.find(offset);
    const uint32_t value = gone_                       ? ~uint32_t{0}
                           : handler != on_read_.end() ? handler->second()
                                                       : registers_[offset];
    log_.push_back({Verb::kRead, offset, value});
    return value;
  }
  void Write32(int, uint32_t offset, uint32_t value) override {
    Store(Verb::kWrite, offset, value);
  }
  // A register is what lies at its offset, whatever its width.
  uint32_t Read(int bar, uint32_t offset, int width) override {
    const uint32_t value = Read32(bar, offset);
    return width == 4 ? value : value & ((uint32_t{1} << 8 * width) - 1);
  }
  void Write(int bar, uint32_t offset, int, uint32_t value) override {
    Write32(bar, offset, value);
  }
  void WriteDoorbell32(int, uint32_t offset, uint32_t value) override {
    Store(Verb::kDoorbell, offset, value);
  }
  void WriteDoorbell16(int, uint32_t offset, uint16_t value) override {
    Store(Verb::kDoorbell, offset, value);
  }
  // Config space: what a test puts there, byte by byte.
  absl::StatusOr<uint32_t> ReadConfig(uint32_t offset, int width) override {
    if (config.empty()) {
      return absl::UnimplementedError("this fake device has no config space");
    }
    uint32_t value = 0;
    for (int i = width - 1; i >= 0; --i) {
      const size_t at = offset + static_cast<size_t>(i);
      value = value << 8 | (at < config.size() ? config[at] : 0xff);
    }
    return value;
  }
  std::vector<uint8_t> config;
  bool gone() const override { return gone_; }

 private:
  void Store(Verb verb, uint32_t offset, uint32_t value) {
    log_.push_back({verb, offset, value});
    if (gone_) return;
    const auto handler = on_write_.find(offset);
    if (handler != on_write_.end()) {
      handler->second(value);
    } else {
      registers_[offset] = value;
    }
  }
  uint32_t Count(Verb verb) const {
    uint32_t count = 0;
    for (const Access& access : log_) count += access.verb == verb;
    return count;
  }

  std::map<uint32_t, uint32_t> registers_;
  std::map<uint32_t, std::function<void(uint32_t)>> on_write_;
  std::map<uint32_t, std::function<uint32_t()>> on_read_;
  std::vector<Access> log_;
  bool gone_ = false;
};

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_FRAMEWORK_FAKE_DEVICE_H_
