#include "nic_model/virtio_net/config_space.h"

#include <cstring>

#include "nic_model/virtio_net/layout.h"

namespace bulkhead::nic_model::virtio_net {
namespace {

constexpr uint32_t kCommand = 0x04;
constexpr uint32_t kBars = 0x10;
constexpr uint32_t kInterruptLine = 0x3c;
constexpr uint32_t kMsix = 0x40;
constexpr uint32_t kCommon = 0x50;
constexpr uint32_t kIsr = 0x60;
constexpr uint32_t kDeviceCap = 0x70;
constexpr uint32_t kNotify = 0x80;
constexpr uint32_t kPciAccess = 0x94;
constexpr uint32_t kVendorData = 0xac;
constexpr uint32_t kPcie = 0xc0;
constexpr uint32_t kSerialNumber = 0x100;

// 4.1.4: cfg_type.
constexpr uint8_t kCommonType = 1;
constexpr uint8_t kNotifyType = 2;
constexpr uint8_t kIsrType = 3;
constexpr uint8_t kDeviceType = 4;
constexpr uint8_t kPciAccessType = 5;
constexpr uint8_t kVendorType = 9;

constexpr uint8_t kBusMaster = 1 << 2;         // Of kCommand.
constexpr uint8_t kMsixFunctionMask = 1 << 6;  // Of kMsix + 3.
constexpr uint8_t kMsixEnable = 1 << 7;        // Of kMsix + 3.

static_assert(ConfigSpace::kCable == kVendorData + 19);

}  // namespace

ConfigSpace::ConfigSpace(std::span<const uint8_t, 6> mac, uint64_t serial) {
  Set(0x00, 2, kVendor);
  Set(0x02, 2, kDevice);
  Set(kCommand, 2, 0, 0x0546);  // Memory, BME, parity, SERR, INTx off.
  Set(0x06, 2, 0x0010);         // Capability list.
  Set(0x08, 4, 0x02000001);     // Ethernet controller, revision 1 (4.1.2.1).
  Set(0x0c, 1, 0, 0xff);        // Cache line size.
  Set(kBars + 0, 4, 0, ~(kBar0Bytes - 1));
  Set(kBars + 4, 4, 0, ~(kBar1Bytes - 1));
  Set(0x2c, 2, kVendor);
  Set(0x2e, 2, 0x1100);
  Set(0x34, 1, kMsix);
  Set(kInterruptLine, 1, 0, 0xff);
  Set(0x3d, 1, 1);  // INTA.

  Set(kMsix, 4, ((kMsixVectors - 1) << 16) | (kCommon << 8) | 0x11,
      uint32_t{kMsixEnable | kMsixFunctionMask} << 24);
  Set(kMsix + 4, 4, 0x00000001);  // Table: BAR1, offset 0.
  Set(kMsix + 8, 4, kPendingOffset | 1);
  SetStructure(kCommon, kIsr, 16, kCommonType, kCommonOffset, kCommonBytes);
  SetStructure(kIsr, kDeviceCap, 16, kIsrType, kIsrOffset, 4);
  SetStructure(kDeviceCap, kNotify, 16, kDeviceType, kDeviceOffset,
               kDeviceConfigBytes);
  SetStructure(kNotify, kPciAccess, 20, kNotifyType, kNotifyOffset,
               kQueues * kNotifyMultiplier);
  Set(kNotify + 16, 4, kNotifyMultiplier);
  // 4.1.4.9: a window for those that cannot map BARs. Its data does nothing
  // here, as nobody who needs it can reach config space.
  SetStructure(kPciAccess, kVendorData, 20, kPciAccessType, 0, 0);
  SetStructure(kVendorData, kPcie, 20, kVendorType, 0, 0);
  Set(kCable, 1, 0, 0x01);
  Set(kPcie, 4, 0x0001'0010);
  Set(kPcie + 4, 4, 0x10000001);      // 256-byte payload, FLR (7.8.3).
  Set(kPcie + 8, 2, 0x2810, 0x7fff);  // Device control.
  Set(kPcie + 12, 4, 0x00031c11);     // x1, 2.5 GT/s.
  Set(kPcie + 18, 2, 0x1011);         // Link status.

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

void ConfigSpace::SetStructure(uint32_t at, uint32_t next, uint32_t bytes,
                               uint8_t type, uint32_t offset, uint32_t length) {
  Set(at, 4, uint32_t{type} << 24 | bytes << 16 | next << 8 | 0x09);
  Set(at + 4, 4, 0);  // BAR0, id 0.
  Set(at + 8, 4, offset);
  Set(at + 12, 4, length);
}

void ConfigSpace::Set(uint32_t offset, uint32_t bytes, uint32_t value,
                      uint32_t writable) {
  std::memcpy(values_.data() + offset, &value, bytes);
  std::memcpy(writable_.data() + offset, &writable, bytes);
}

void ConfigSpace::Reset() {
  for (uint32_t i = 0; i < kBytes; ++i) {
    const bool kept =
        (i >= kBars && i < kBars + 24) || i == kInterruptLine || i == kCable;
    // What is writable is 0 after a reset, but for device control.
    if (!kept) values_[i] &= static_cast<uint8_t>(~writable_[i]);
  }
  Set(kPcie + 8, 2, 0x2810, 0x7fff);
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

void ConfigSpace::LoopCapabilities() { values_[kPcie + 1] = kMsix; }

bool ConfigSpace::bus_master() const {
  return (values_[kCommand] & kBusMaster) != 0;
}
bool ConfigSpace::msix_enabled() const {
  return (values_[kMsix + 3] & kMsixEnable) != 0;
}
bool ConfigSpace::msix_masked() const {
  return (values_[kMsix + 3] & kMsixFunctionMask) != 0;
}
void ConfigSpace::set_msix_enabled(bool on) {
  uint8_t& control = values_[kMsix + 3];
  control =
      static_cast<uint8_t>(on ? control | kMsixEnable : control & ~kMsixEnable);
}

}  // namespace bulkhead::nic_model::virtio_net
