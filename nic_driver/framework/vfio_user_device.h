// PciDevice over vfio-user: a simulated NIC, or any server of the protocol.
#ifndef BULKHEAD_NIC_DRIVER_FRAMEWORK_VFIO_USER_DEVICE_H_
#define BULKHEAD_NIC_DRIVER_FRAMEWORK_VFIO_USER_DEVICE_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "absl/status/statusor.h"
#include "base/shared_memory.h"
#include "base/unique_fd.h"
#include "nic_driver/framework/pci_device.h"
#include "nic_model/vfio_user/client.h"

namespace bulkhead::nic_driver {

// Reads are round trips on the socket (10–40 µs); writes are posted, one
// message each, in order. Doorbells that the server offers for BAR 0 as shadow
// memory plus eventfd bypass the socket.
//
// Threading: as PciDevice. Accesses over the socket wait for each other;
// doorbells do not.
class VfioUserDevice final : public PciDevice {
 public:
  // Negotiates on a connected socket.
  static absl::StatusOr<std::unique_ptr<VfioUserDevice>> Create(
      UniqueFd connection);
  // On a socket that somebody negotiated on and asked for BAR 0's doorbells.
  static absl::StatusOr<std::unique_ptr<VfioUserDevice>> Adopt(
      UniqueFd connection, std::vector<vfio_user::Doorbell> doorbells);

  uint32_t Read32(int bar, uint32_t offset) override;
  std::array<uint32_t, 2> ReadPair32(int bar, uint32_t offset) override;
  uint32_t Read(int bar, uint32_t offset, int width) override;
  void ReadRun(int bar, uint32_t offset, int width,
               std::span<uint32_t> out) override;
  void Write(int bar, uint32_t offset, int width, uint32_t value) override;
  void HoldWrites() override {
    const std::lock_guard lock(mutex_);
    client_->Cork();
  }
  void Write32(int bar, uint32_t offset, uint32_t value) override;
  void WriteDoorbell32(int bar, uint32_t offset, uint32_t value) override;
  void WriteDoorbell16(int bar, uint32_t offset, uint16_t value) override;
  absl::StatusOr<uint32_t> ReadConfig(uint32_t offset, int width) override;
  absl::Status ReadConfigSpace(std::span<uint8_t> out) override {
    const std::lock_guard lock(mutex_);
    return client_->Read(vfio_user::kConfigRegion, 0, out);
  }
  bool gone() const override { return gone_.load(std::memory_order_relaxed); }
  int closed_fd() const override { return client_->fd(); }

 private:
  struct MappedDoorbell {
    uint32_t offset = 0;
    uint32_t bytes = 4;  // Of the register; its shadow has four.
    UniqueFd event;
    Mapping page;
    uint32_t* shadow = nullptr;
  };

  explicit VfioUserDevice(std::unique_ptr<vfio_user::Client> client)
      : client_(std::move(client)) {}

  absl::Status MapDoorbells(std::vector<vfio_user::Doorbell> offered);
  MappedDoorbell* FindDoorbell(int bar, uint32_t offset);
  static void Ring(MappedDoorbell& doorbell, uint32_t value);
  void Post(int bar, uint32_t offset, std::span<const uint8_t> bytes);

  std::mutex mutex_;  // Of client_.
  std::unique_ptr<vfio_user::Client> client_;
  std::vector<MappedDoorbell> doorbells_;  // Of BAR 0.
  std::atomic<bool> gone_ = false;
};

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_FRAMEWORK_VFIO_USER_DEVICE_H_
