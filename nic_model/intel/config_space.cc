#include "nic_model/intel/config_space.h"

#include <cstring>

#include "nic_model/intel/registers.h"

namespace bulkhead::nic_model::intel {
namespace {

constexpr uint32_t kCommand = 0x04;
constexpr uint32_t kBars = 0x10;
constexpr uint32_t kInterruptLine = 0x3c;
// Extended capabilities.
constexpr uint32_t kAdvancedErrors = 0x100;
constexpr uint32_t kSerialNumber = 0x140;

constexpr uint8_t kBusMaster = 1 << 2;         // Of kCommand.
constexpr uint8_t kMsiEnable = 1 << 0;         // In byte 2 of MSI.
constexpr uint8_t kMsixFunctionMask = 1 << 6;  // In byte 3 of MSI-X.
constexpr uint8_t kMsixEnable = 1 << 7;        // In byte 3 of MSI-X.

}  // namespace

ConfigSpace::ConfigSpace(const ConfigLayout& layout,
                         std::span<const uint8_t, 6> mac, uint64_t serial)
    : at_(layout) {
  // 9.3: the type 0 header.
  Set(0x00, 2, 0x8086);
  Set(0x02, 2, at_.device);
  Set(kCommand, 2, 0, 0x0547);  // IO, memory, BME, parity, SERR, INTx off.
  Set(0x06, 2, 0x0010);         // Capability list.
  Set(0x08, 4, 0x02000000u | at_.revision);  // Ethernet controller.
  Set(0x0c, 1, 0, 0xff);                     // Cache line size.
  Set(kBars + 0, 4, 0, ~(kBar0Bytes - 1));
  // BAR1 (flash) and BAR2 (I/O window) are off, as the NVM may have them.
  Set(kBars + 12, 4, 0, ~(kBar3Bytes - 1));
  Set(0x2c, 2, 0x8086);  // Subsystem: Intel's own adapter.
  Set(0x2e, 2, at_.subsystem);
  Set(0x34, 1, at_.power_management);
  Set(kInterruptLine, 1, 0, 0xff);
  Set(0x3d, 1, 1);  // INTA.

  Set(at_.power_management, 4, 0xc822'0000 | uint32_t{at_.msi} << 8 | 0x01);
  Set(at_.power_management + 4, 2, 0x2000, 0x0103);
  Set(at_.msi, 4, 0x0080'0000 | uint32_t{at_.pcie} << 8 | 0x05,
      uint32_t{kMsiEnable} << 16);
  Set(at_.msi + 4, 4, 0, 0xfffffffc);
  Set(at_.msi + 8, 4, 0, 0xffffffff);
  Set(at_.msi + 12, 2, 0, 0xffff);
  Set(at_.pcie, 4, 0x0001'0000 | uint32_t{at_.msix} << 8 | 0x10);
  Set(at_.pcie + 4, 4, 0x00000cc1);      // 256-byte payload, L0s 512 ns.
  Set(at_.pcie + 8, 2, 0x2810, 0x7fff);  // Device control.
  Set(at_.pcie + 12, 4, 0x00031c11);     // x1, 2.5 GT/s.
  Set(at_.pcie + 16, 2, 0, 0x01c3);      // Link control.
  Set(at_.pcie + 18, 2, 0x1011);         // Link status.
  Set(at_.msix, 4, ((at_.msix_vectors - 1) << 16) | 0x11,
      uint32_t{kMsixEnable | kMsixFunctionMask} << 24);
  Set(at_.msix + 4, 4, 0x00000003);  // Table: BAR3, offset 0.
  Set(at_.msix + 8, 4, 0x00002003);  // PBA: BAR3, offset 0x2000.

  Set(kAdvancedErrors, 4, (kSerialNumber << 20) | (1 << 16) | 0x0001);
  Set(kSerialNumber, 4, (1 << 16) | 0x0003);
  if (serial == 0) {
    // The MAC address with FF-FF in its middle.
    for (const uint8_t byte : {mac[0], mac[1], mac[2], uint8_t{0xff},
                               uint8_t{0xff}, mac[3], mac[4], mac[5]}) {
      serial = serial << 8 | byte;
    }
  }
  std::memcpy(values_.data() + kSerialNumber + 4, &serial, sizeof(serial));
}

void ConfigSpace::Set(uint32_t offset, uint32_t bytes, uint32_t value,
                      uint32_t writable) {
  std::memcpy(values_.data() + offset, &value, bytes);
  std::memcpy(writable_.data() + offset, &writable, bytes);
}

void ConfigSpace::Reset() {
  for (uint32_t i = 0; i < kBytes; ++i) {
    const bool kept = (i >= kBars && i < kBars + 24) || i == kInterruptLine;
    if (kept) continue;
    // What is writable is 0 after a reset, but for device control.
    values_[i] &= static_cast<uint8_t>(~writable_[i]);
  }
  Set(at_.pcie + 8, 2, 0x2810, 0x7fff);
}

void ConfigSpace::Read(uint32_t offset, std::span<uint8_t> data) const {
  std::memcpy(data.data(), values_.data() + offset, data.size());
}

void ConfigSpace::Write(uint32_t offset, std::span<const uint8_t> data) {
  for (size_t i = 0; i < data.size(); ++i) {
    const uint8_t mask = writable_[offset + i];
    uint8_t& value = values_[offset + i];
    value = static_cast<uint8_t>((value & ~mask) | (data[i] & mask));
  }
}

void ConfigSpace::SetBit(uint32_t offset, uint8_t bit, bool on) {
  values_[offset] =
      static_cast<uint8_t>(on ? values_[offset] | bit : values_[offset] & ~bit);
}

void ConfigSpace::LoopCapabilities() {
  values_[at_.msix + 1] = at_.power_management;
}

bool ConfigSpace::bus_master() const {
  return (values_[kCommand] & kBusMaster) != 0;
}
bool ConfigSpace::msi_enabled() const {
  return (values_[at_.msi + 2] & kMsiEnable) != 0;
}
bool ConfigSpace::msix_enabled() const {
  return (values_[at_.msix + 3] & kMsixEnable) != 0;
}
bool ConfigSpace::msix_masked() const {
  return (values_[at_.msix + 3] & kMsixFunctionMask) != 0;
}
void ConfigSpace::set_msi_enabled(bool on) {
  SetBit(at_.msi + 2, kMsiEnable, on);
}
void ConfigSpace::set_msix_enabled(bool on) {
  SetBit(at_.msix + 3, kMsixEnable, on);
}
int ConfigSpace::power_state() const {
  return values_[at_.power_management + 4] & 3;
}

}  // namespace bulkhead::nic_model::intel
