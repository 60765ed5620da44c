// PCI configuration space of a modern virtio network device: Virtio 1.2,
// section 4.1.
#ifndef BULKHEAD_NIC_MODEL_VIRTIO_NET_CONFIG_SPACE_H_
#define BULKHEAD_NIC_MODEL_VIRTIO_NET_CONFIG_SPACE_H_

#include <array>
#include <cstdint>
#include <span>

namespace bulkhead::nic_model::virtio_net {

class ConfigSpace {
 public:
  static constexpr uint32_t kBytes = 4096;
  // Our own vendor capability (4.1.4, VIRTIO_PCI_CAP_VENDOR_CFG), for tests: a
  // 1 in its last byte pulls the cable.
  static constexpr uint32_t kCable = 0xbf;

  // `serial` 0: the device serial number is made from `mac`.
  ConfigSpace(std::span<const uint8_t, 6> mac, uint64_t serial);

  // Values after a reset of the function; BARs and the interrupt line are kept,
  // since a reset by the platform restores them (VFIO does, too). So is the
  // cable.
  void Reset();

  // Requires: offset + size <= kBytes.
  void Read(uint32_t offset, std::span<uint8_t> data) const;
  // Read-only bits keep their values.
  void Write(uint32_t offset, std::span<const uint8_t> data);

  // Test fault 36: the last capability points to the first.
  void LoopCapabilities();

  bool bus_master() const;
  bool msix_enabled() const;
  bool msix_masked() const;
  void set_msix_enabled(bool on);
  bool cable() const { return values_[kCable] == 0; }

 private:
  void Set(uint32_t offset, uint32_t bytes, uint32_t value,
           uint32_t writable = 0);
  void SetStructure(uint32_t at, uint32_t next, uint32_t bytes, uint8_t type,
                    uint32_t offset, uint32_t length);

  std::array<uint8_t, kBytes> values_ = {};
  std::array<uint8_t, kBytes> writable_ = {};
};

}  // namespace bulkhead::nic_model::virtio_net

#endif  // BULKHEAD_NIC_MODEL_VIRTIO_NET_CONFIG_SPACE_H_
