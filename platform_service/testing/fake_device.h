// A NIC without a process: config space, DMA map and reset of a device that
// does what a test wants, good or bad.
#ifndef BULKHEAD_PLATFORM_SERVICE_TESTING_FAKE_DEVICE_H_
#define BULKHEAD_PLATFORM_SERVICE_TESTING_FAKE_DEVICE_H_

#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "nic_model/vfio_user/client.h"
#include "platform_service/devices/nic.h"
#include "platform_service/devices/vfio_user_bus.h"
#include "platform_service/devices/vfio_user_owner.h"

namespace bulkhead::platform {

// What the device is and what was done to it; outlives the connection.
struct FakeDeviceState {
  FakeDeviceState() {
    const uint8_t header[] = {0x86, 0x80, 0xd3, 0x10, 0, 0, 0x10, 0};
    std::memcpy(config.data(), header, sizeof(header));
    config[0x34] = 0x40;
    const uint8_t msix[] = {0x11, 0, 4, 0};
    std::memcpy(config.data() + 0x40, msix, sizeof(msix));
  }

  bool bus_master() const { return (config[4] & 4) != 0; }
  // Position of the first operation of this kind after `from`; -1: none.
  int Find(const std::string& kind, size_t from = 0) const {
    for (size_t i = from; i < log.size(); ++i) {
      if (log[i].rfind(kind, 0) == 0) return static_cast<int>(i);
    }
    return -1;
  }

  std::array<uint8_t, 256> config = {};
  std::map<uint64_t, uint64_t> maps;  // iova to bytes.
  std::vector<std::string> log;       // Operations, in order.
  uint32_t irqs = 3;
  std::string fail;              // The operation that fails from now on.
  bool reset_keeps_dma = false;  // A reset that does not reset.
  bool changes_identity = false;
};

class FakeDeviceClient final : public vfio_user::Client {
 public:
  explicit FakeDeviceClient(FakeDeviceState& state)
      : state_(state), fd_(::eventfd(0, EFD_CLOEXEC)) {}
  ~FakeDeviceClient() override { state_.maps.clear(); }

  absl::StatusOr<vfio_user::RegionInfo> GetRegionInfo(uint32_t) override {
    return vfio_user::RegionInfo{256, true, true};
  }
  absl::StatusOr<std::vector<vfio_user::Doorbell>> GetDoorbells(
      uint32_t) override {
    return std::vector<vfio_user::Doorbell>();
  }
  absl::StatusOr<uint32_t> GetIrqCount(uint32_t) override {
    return state_.irqs;
  }
  absl::Status Read(uint32_t, uint64_t offset,
                    std::span<uint8_t> data) override {
    if (absl::Status s = Note("read"); !s.ok()) return s;
    std::memcpy(data.data(), state_.config.data() + offset, data.size());
    return absl::OkStatus();
  }
  absl::Status Write(uint32_t, uint64_t offset,
                     std::span<const uint8_t> data) override {
    std::memcpy(state_.config.data() + offset, data.data(), data.size());
    return Note(offset == 4 ? (state_.bus_master() ? "bme_on" : "bme_off")
                            : "write");
  }
  absl::Status PostWrite(uint32_t region, uint64_t offset,
                         std::span<const uint8_t> data) override {
    return Write(region, offset, data);
  }
  absl::Status SetIrqs(uint32_t, std::span<const int> events) override {
    return Note(absl::StrCat("irqs ", events.size()));
  }
  absl::Status MapDma(uint64_t iova, uint64_t bytes, int, uint64_t,
                      bool device_may_write) override {
    if (absl::Status s =
            Note(absl::StrCat(device_may_write ? "map_rw " : "map_ro ", iova));
        !s.ok()) {
      return s;
    }
    state_.maps[iova] = bytes;
    return absl::OkStatus();
  }
  absl::Status UnmapDma(uint64_t iova, uint64_t) override {
    if (absl::Status s = Note(absl::StrCat("unmap ", iova)); !s.ok()) return s;
    state_.maps.erase(iova);
    return absl::OkStatus();
  }
  absl::Status Reset() override {
    if (absl::Status s = Note("reset"); !s.ok()) return s;
    if (!state_.reset_keeps_dma) state_.config[4] = state_.config[5] = 0;
    if (state_.reset_keeps_dma) state_.config[4] |= 4;
    if (state_.changes_identity) state_.config[2] = 0x99;
    return absl::OkStatus();
  }
  int fd() const override { return fd_.get(); }

 private:
  absl::Status Note(const std::string& operation) {
    state_.log.push_back(operation);
    if (!state_.fail.empty() && operation.rfind(state_.fail, 0) == 0) {
      return absl::DeadlineExceededError("the fake device does not answer");
    }
    return absl::OkStatus();
  }

  FakeDeviceState& state_;
  UniqueFd fd_;
};

// The device as an instance sees it; can be plugged in and pulled out.
class FakeNic final : public Nic {
 public:
  DeviceOwner* device() override { return device_.get(); }
  const std::string& down_reason() const override { return down_reason_; }
  absl::StatusOr<std::unique_ptr<DriverBus>> MakeDriverBus() override {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
      return absl::InternalError("socketpair");
    }
    model_ends_.emplace_back(ends[0]);
    return std::make_unique<VfioUserBus>(UniqueFd(ends[1]));
  }
  absl::Status PrepareSession(const SessionMemory&) override {
    return ready ? absl::OkStatus()
                 : absl::UnavailableError("a predecessor has it still");
  }
  void Fail(const absl::Status& why) override {
    failures.emplace_back(why.message());
    Unplug(std::string(why.message()));
  }

  void Plug() {
    auto device =
        VfioUserOwner::Create(std::make_unique<FakeDeviceClient>(state));
    device_ = device.ok() ? *std::move(device) : nullptr;
  }
  void Unplug(const std::string& reason) {
    device_.reset();
    down_reason_ = reason;
    if (down) down(reason);
  }

  FakeDeviceState state;
  std::vector<std::string> failures;
  bool ready = true;  // For a session.
  std::function<void(const std::string&)> down;

 private:
  std::unique_ptr<VfioUserOwner> device_;
  std::string down_reason_ = "not plugged in";
  std::vector<UniqueFd> model_ends_;
};

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_TESTING_FAKE_DEVICE_H_
