// What the descriptors of Intel's 1 Gb/s NICs have in common: 16 bytes, of
// which the device writes the second half back. What else the bits ask for
// differs from NIC to NIC and is in the drivers' register tables.
#ifndef BULKHEAD_NIC_DRIVER_INTEL_DESCRIPTORS_H_
#define BULKHEAD_NIC_DRIVER_INTEL_DESCRIPTORS_H_

#include <cstdint>

namespace bulkhead::nic_driver::intel {

// Extended (82574, 7.1.5) and advanced (82576, 7.1.5) receive descriptors.
// Written back: extended status in bits 0–19 of `status`, extended errors in
// 20–31, length in 32–47, VLAN tag in 48–63.
struct RxDescriptor {
  uint64_t address;
  uint64_t status;  // 0 when it is given.
};
static_assert(sizeof(RxDescriptor) == 16);

namespace rx {
constexpr uint64_t DD = uint64_t{1} << 0;   // The device is done with it.
constexpr uint64_t EOP = uint64_t{1} << 1;  // End of packet.
constexpr uint16_t Length(uint64_t status) {
  return static_cast<uint16_t>(status >> 32);
}
}  // namespace rx

// Of any kind: DD and the bits that ask for it are in the same places.
struct TxDescriptor {
  uint64_t address;
  uint64_t command;
};
static_assert(sizeof(TxDescriptor) == 16);

namespace tx {
constexpr uint64_t EOP = uint64_t{1} << 24;   // End of packet.
constexpr uint64_t IFCS = uint64_t{1} << 25;  // Insert the FCS.
constexpr uint64_t RS = uint64_t{1} << 27;    // Report status: write DD back.
constexpr uint64_t DEXT = uint64_t{1} << 29;  // Not a legacy descriptor.
constexpr uint64_t DD = uint64_t{1} << 32;
constexpr uint64_t IXSM = uint64_t{1} << 40;  // Insert IPv4's checksum.
constexpr uint64_t TXSM = uint64_t{1} << 41;  // Insert the L4 checksum.
}  // namespace tx

}  // namespace bulkhead::nic_driver::intel

#endif  // BULKHEAD_NIC_DRIVER_INTEL_DESCRIPTORS_H_
