// Every register access of a driver, kept for the moment when it fails.
//
// A PciDevice in front of the real one: where tracing is off there is none, so
// that it costs nothing.
#ifndef BULKHEAD_NIC_DRIVER_FRAMEWORK_TRACE_H_
#define BULKHEAD_NIC_DRIVER_FRAMEWORK_TRACE_H_

#include <array>
#include <cstdint>
#include <mutex>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "base/clock.h"
#include "nic_driver/framework/pci_device.h"

namespace bulkhead::nic_driver {

// Requires: `device` outlives it.
// Threading: as PciDevice, and Text; entry, when no other thread is at it.
class TracingDevice final : public PciDevice {
 public:
  enum class Access : uint8_t { kRead, kWrite, kDoorbell };
  struct Entry {
    uint64_t time_ns = 0;
    uint32_t offset = 0;
    uint32_t value = 0;
    uint8_t bar = 0;
    Access access = Access::kRead;
  };
  static constexpr uint64_t kKept = 128;

  explicit TracingDevice(PciDevice& device) : device_(device) {}

  uint32_t Read32(int bar, uint32_t offset) override {
    const uint32_t value = device_.Read32(bar, offset);
    Keep(Access::kRead, bar, offset, value);
    return value;
  }
  std::array<uint32_t, 2> ReadPair32(int bar, uint32_t offset) override {
    const std::array<uint32_t, 2> values = device_.ReadPair32(bar, offset);
    Keep(Access::kRead, bar, offset, values[0]);
    Keep(Access::kRead, bar, offset + 4, values[1]);
    return values;
  }
  void Write32(int bar, uint32_t offset, uint32_t value) override {
    Keep(Access::kWrite, bar, offset, value);
    device_.Write32(bar, offset, value);
  }
  uint32_t Read(int bar, uint32_t offset, int width) override {
    const uint32_t value = device_.Read(bar, offset, width);
    Keep(Access::kRead, bar, offset, value);
    return value;
  }
  void ReadRun(int bar, uint32_t offset, int width,
               std::span<uint32_t> out) override {
    device_.ReadRun(bar, offset, width, out);
    for (size_t i = 0; i < out.size(); ++i) {
      Keep(Access::kRead, bar, offset + static_cast<uint32_t>(i) * width,
           out[i]);
    }
  }
  void Write(int bar, uint32_t offset, int width, uint32_t value) override {
    Keep(Access::kWrite, bar, offset, value);
    device_.Write(bar, offset, width, value);
  }
  void HoldWrites() override { device_.HoldWrites(); }
  void WriteDoorbell16(int bar, uint32_t offset, uint16_t value) override {
    Keep(Access::kDoorbell, bar, offset, value);
    device_.WriteDoorbell16(bar, offset, value);
  }
  void WriteDoorbell32(int bar, uint32_t offset, uint32_t value) override {
    Keep(Access::kDoorbell, bar, offset, value);
    device_.WriteDoorbell32(bar, offset, value);
  }
  absl::StatusOr<uint32_t> ReadConfig(uint32_t offset, int width) override {
    return device_.ReadConfig(offset, width);
  }
  absl::Status ReadConfigSpace(std::span<uint8_t> out) override {
    return device_.ReadConfigSpace(out);
  }
  bool gone() const override { return device_.gone(); }
  int closed_fd() const override { return device_.closed_fd(); }

  // Accesses so far; the last kKept of them can be asked for.
  uint64_t count() const { return count_; }
  const Entry& entry(uint64_t number) const { return entries_[number % kKept]; }

  // One line per kept access, oldest first.
  std::string Text() const {
    static constexpr const char* kVerb[] = {"read ", "write", "ring "};
    std::string text;
    const std::lock_guard lock(mutex_);
    for (uint64_t i = count_ > kKept ? count_ - kKept : 0; i < count_; ++i) {
      const Entry& e = entry(i);
      absl::StrAppendFormat(
          &text, "%d.%09d %s bar%d+0x%05x 0x%08x\n", e.time_ns / 1'000'000'000,
          e.time_ns % 1'000'000'000, kVerb[static_cast<int>(e.access)], e.bar,
          e.offset, e.value);
    }
    return text;
  }

 private:
  void Keep(Access access, int bar, uint32_t offset, uint32_t value) {
    const std::lock_guard lock(mutex_);
    entries_[count_++ % kKept] = {MonotonicNs(), offset, value,
                                  static_cast<uint8_t>(bar), access};
  }

  PciDevice& device_;
  mutable std::mutex mutex_;
  std::array<Entry, kKept> entries_ = {};
  uint64_t count_ = 0;
};

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_FRAMEWORK_TRACE_H_
