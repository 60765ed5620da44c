// Registers of a modern virtio network device on PCI, in the order of Virtio
// 1.2: sections 4.1.4.3 (common configuration), 4.1.4.5 and 5.1.4 (device
// configuration). Where each structure lies, its PCI capability tells.
#ifndef BULKHEAD_NIC_DRIVER_VIRTIO_NET_VIRTIO_NET_REGS_H_
#define BULKHEAD_NIC_DRIVER_VIRTIO_NET_VIRTIO_NET_REGS_H_

#include <cstdint>

#include "nic_driver/framework/registers.h"

namespace bulkhead::nic_driver::virtio_net {

// ---- 4.1.4.3: common configuration.

struct DEVICE_FEATURE_SELECT : Register<0x00, ReadWrite> {};
struct DEVICE_FEATURE : Register<0x04, ReadOnly> {};
struct DRIVER_FEATURE_SELECT : Register<0x08, ReadWrite> {};
struct DRIVER_FEATURE : Register<0x0c, ReadWrite> {};
struct CONFIG_MSIX_VECTOR : Register<0x10, ReadWrite, uint16_t> {};
struct NUM_QUEUES : Register<0x12, ReadOnly, uint16_t> {};
struct DEVICE_STATUS : Register<0x14, ReadWrite, uint8_t> {  // 2.1
  static constexpr Bit<DEVICE_STATUS, 0> ACKNOWLEDGE{};
  static constexpr Bit<DEVICE_STATUS, 1> DRIVER{};
  static constexpr Bit<DEVICE_STATUS, 2> DRIVER_OK{};
  static constexpr Bit<DEVICE_STATUS, 3> FEATURES_OK{};
  static constexpr Bit<DEVICE_STATUS, 6> DEVICE_NEEDS_RESET{};
  static constexpr Bit<DEVICE_STATUS, 7> FAILED{};
};
struct QUEUE_SELECT : Register<0x16, ReadWrite, uint16_t> {};
// Of the selected queue, from here on.
struct QUEUE_SIZE : Register<0x18, ReadWrite, uint16_t> {};
struct QUEUE_MSIX_VECTOR : Register<0x1a, ReadWrite, uint16_t> {};
struct QUEUE_ENABLE : Register<0x1c, ReadWrite, uint16_t> {};
struct QUEUE_NOTIFY_OFF : Register<0x1e, ReadOnly, uint16_t> {};
// 64 bits each: the low half, then the high (4.1.3.1).
struct QUEUE_DESC : RegisterArray<0x20, ReadWrite, 2> {};
struct QUEUE_DRIVER : RegisterArray<0x28, ReadWrite, 2> {};
struct QUEUE_DEVICE : RegisterArray<0x30, ReadWrite, 2> {};
struct QUEUE_RESET : Register<0x3a, ReadWrite, uint16_t> {};

// ---- 5.1.4: device configuration.

struct MAC : Register<0x00, ReadOnly, uint8_t> {};  // Six of them.
struct STATUS : Register<0x06, ReadOnly, uint16_t> {
  static constexpr Bit<STATUS, 0> LINK_UP{};
};
struct MAX_VIRTQUEUE_PAIRS : Register<0x08, ReadOnly, uint16_t> {};
struct MTU : Register<0x0a, ReadOnly, uint16_t> {};
struct SPEED : Register<0x0c, ReadOnly> {};            // Mb/s.
struct DUPLEX : Register<0x10, ReadOnly, uint8_t> {};  // 1: full.

// ---- 5.1.3 and 6: feature bits.

constexpr uint64_t Feature(int bit) { return uint64_t{1} << bit; }
constexpr uint64_t F_CSUM = Feature(0);
constexpr uint64_t F_MTU = Feature(3);
constexpr uint64_t F_MAC = Feature(5);
constexpr uint64_t F_HOST_TSO4 = Feature(11);
constexpr uint64_t F_HOST_TSO6 = Feature(12);
constexpr uint64_t F_STATUS = Feature(16);
constexpr uint64_t F_CTRL_VQ = Feature(17);
constexpr uint64_t F_CTRL_RX = Feature(18);
constexpr uint64_t F_MQ = Feature(22);
constexpr uint64_t F_EVENT_IDX = Feature(29);
constexpr uint64_t F_VERSION_1 = Feature(32);
constexpr uint64_t F_ACCESS_PLATFORM = Feature(33);
constexpr uint64_t F_RING_PACKED = Feature(34);
constexpr uint64_t F_ORDER_PLATFORM = Feature(36);
constexpr uint64_t F_RING_RESET = Feature(40);
constexpr uint64_t F_DEVICE_STATS = Feature(50);  // Version 1.4.
constexpr uint64_t F_SPEED_DUPLEX = Feature(63);

// ---- 5.1.2: queues.

// receiveq1, transmitq1, …, receiveqN, transmitqN, controlq: N is
// max_virtqueue_pairs with F_MQ, otherwise 1.
constexpr uint16_t RxQueueOf(uint32_t pair) {
  return static_cast<uint16_t>(2 * pair);
}
constexpr uint16_t TxQueueOf(uint32_t pair) {
  return static_cast<uint16_t>(2 * pair + 1);
}
// What max_virtqueue_pairs may be (5.1.4.1), less the one value with which
// controlq would have an index that queue_select cannot hold.
constexpr uint32_t kMostPairs = 0x7fff;

// ---- 5.1.6: what precedes every frame.

struct NetHeader {
  static constexpr uint8_t NEEDS_CSUM = 1;
  static constexpr uint8_t GSO_NONE = 0;
  static constexpr uint8_t GSO_TCPV4 = 1;
  static constexpr uint8_t GSO_TCPV6 = 4;

  uint8_t flags;
  uint8_t gso_type;
  uint16_t hdr_len;
  uint16_t gso_size;
  uint16_t csum_start;
  uint16_t csum_offset;
  uint16_t num_buffers;
};
static_assert(sizeof(NetHeader) == 12);

}  // namespace bulkhead::nic_driver::virtio_net

#endif  // BULKHEAD_NIC_DRIVER_VIRTIO_NET_VIRTIO_NET_REGS_H_
