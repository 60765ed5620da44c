// PCI configuration space: chapter 9 of either datasheet.
#ifndef BULKHEAD_NIC_MODEL_INTEL_CONFIG_SPACE_H_
#define BULKHEAD_NIC_MODEL_INTEL_CONFIG_SPACE_H_

#include <array>
#include <cstdint>
#include <span>

namespace bulkhead::nic_model::intel {

// Where controllers differ.
struct ConfigLayout {
  uint16_t device;
  uint16_t subsystem;  // Of vendor Intel.
  uint8_t revision;
  uint32_t msix_vectors;
  // Capabilities, which follow each other in this order; msix is the last.
  uint8_t power_management;
  uint8_t msi;
  uint8_t pcie;
  uint8_t msix;
};

class ConfigSpace {
 public:
  static constexpr uint32_t kBytes = 4096;

  // `serial` 0: the device serial number is made from `mac`, as the datasheet
  // has it (9.5.2).
  ConfigSpace(const ConfigLayout& layout, std::span<const uint8_t, 6> mac,
              uint64_t serial);

  // Values after a reset of the function; BARs and the interrupt line are
  // kept, since a reset by the platform restores them (VFIO does, too).
  void Reset();

  // Requires: offset + size <= kBytes.
  void Read(uint32_t offset, std::span<uint8_t> data) const;
  // Read-only bits keep their values.
  void Write(uint32_t offset, std::span<const uint8_t> data);

  // Test fault 36: the last capability points to the first.
  void LoopCapabilities();

  bool bus_master() const;
  bool msi_enabled() const;
  bool msix_enabled() const;
  bool msix_masked() const;
  void set_msi_enabled(bool on);
  void set_msix_enabled(bool on);
  // PMCSR power state, 0 … 3.
  int power_state() const;

 private:
  void Set(uint32_t offset, uint32_t bytes, uint32_t value,
           uint32_t writable = 0);
  void SetBit(uint32_t offset, uint8_t bit, bool on);

  const ConfigLayout at_;
  std::array<uint8_t, kBytes> values_ = {};
  std::array<uint8_t, kBytes> writable_ = {};
};

}  // namespace bulkhead::nic_model::intel

#endif  // BULKHEAD_NIC_MODEL_INTEL_CONFIG_SPACE_H_
