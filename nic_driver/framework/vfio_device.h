// PciDevice over VFIO: a real NIC, its BARs mapped into the driver.
#ifndef BULKHEAD_NIC_DRIVER_FRAMEWORK_VFIO_DEVICE_H_
#define BULKHEAD_NIC_DRIVER_FRAMEWORK_VFIO_DEVICE_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/shared_memory.h"
#include "nic_driver/framework/device_grant.h"
#include "nic_driver/framework/pci_device.h"

namespace bulkhead::nic_driver {

// Each access is one load or store on the bus: a read waits for the device
// (about 1 µs), a write does not.
//
// Guarantees: an access outside the BARs that were granted reads as all ones
// and writes nothing. The device descriptor is closed when Create returns, so
// that the honest driver holds nothing but the mapped BARs.
// Threading: as PciDevice.
class VfioDevice final : public PciDevice {
 public:
  static absl::StatusOr<std::unique_ptr<VfioDevice>> Create(VfioGrant grant);

  uint32_t Read32(int bar, uint32_t offset) override;
  void Write32(int bar, uint32_t offset, uint32_t value) override;
  uint32_t Read(int bar, uint32_t offset, int width) override;
  void Write(int bar, uint32_t offset, int width, uint32_t value) override;
  // Of the snapshot in the grant: what the device says of itself.
  absl::StatusOr<uint32_t> ReadConfig(uint32_t offset, int width) override;
  // A register read as all ones, and so did the BAR's first one, which no NIC
  // that is there has.
  bool gone() const override { return gone_.load(std::memory_order_relaxed); }

 private:
  VfioDevice() = default;

  template <typename T>
  volatile T* At(int bar, uint32_t offset) const;
  template <typename T>
  T Load(int bar, uint32_t offset) const;
  template <typename T>
  void Store(int bar, uint32_t offset, T value);

  std::array<Mapping, 6> bars_;
  std::string config_space_;
  std::atomic<bool> gone_ = false;
};

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_FRAMEWORK_VFIO_DEVICE_H_
