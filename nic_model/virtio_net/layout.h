// The numbers of Virtio 1.2 that a network device on PCI needs: what lies in
// config space, in BAR0 and in host memory.
//
// Source: Virtual I/O Device (VIRTIO) Version 1.2, OASIS; statistics from 1.4.
// Names are the specification's.
#ifndef BULKHEAD_NIC_MODEL_VIRTIO_NET_LAYOUT_H_
#define BULKHEAD_NIC_MODEL_VIRTIO_NET_LAYOUT_H_

#include <cstddef>
#include <cstdint>

namespace bulkhead::nic_model::virtio_net {

// 4.1.2: 0x1040 + the device's type, 1 for network.
constexpr uint16_t kVendor = 0x1af4;
constexpr uint16_t kDevice = 0x1041;

// Where this device has its structures (4.1.4 leaves it to the device).
constexpr uint32_t kCommonOffset = 0x0000;
constexpr uint32_t kIsrOffset = 0x1000;
constexpr uint32_t kDeviceOffset = 0x2000;
constexpr uint32_t kNotifyOffset = 0x3000;
constexpr uint32_t kNotifyMultiplier = 4;  // Bytes between two queues.
constexpr uint32_t kBar0Bytes = 0x4000;
constexpr uint32_t kBar1Bytes = 0x1000;  // MSI-X table and pending bits.
constexpr uint32_t kPendingOffset = 0x800;
constexpr uint32_t kMsixVectors = 10;

// 5.1.2: receiveq1, transmitq1, …, receiveqN, transmitqN, controlq. Here by the
// number that they have with VIRTIO_NET_F_MQ, which is also the place where
// each is notified; without it, there are the first two and controlq, whose
// index is then 2 (CommonConfig::NumberOf).
constexpr uint32_t kMaxPairs = 8;
constexpr uint32_t RxQueueOf(uint32_t pair) { return 2 * pair; }
constexpr uint32_t TxQueueOf(uint32_t pair) { return 2 * pair + 1; }
constexpr uint32_t kRxQueue = RxQueueOf(0);
constexpr uint32_t kTxQueue = TxQueueOf(0);
constexpr uint32_t kControlQueue = 2 * kMaxPairs;
constexpr uint32_t kQueues = kControlQueue + 1;
constexpr uint32_t kControlIndexOfOnePair = 2;
constexpr uint16_t kMaxQueueSize = 1024;
constexpr uint16_t kControlQueueSize = 64;

// 2.1: device status.
constexpr uint8_t kAcknowledge = 1;
constexpr uint8_t kDriver = 2;
constexpr uint8_t kDriverOk = 4;
constexpr uint8_t kFeaturesOk = 8;
constexpr uint8_t kNeedsReset = 64;
constexpr uint8_t kFailed = 128;

// 5.1.3 and 6: feature bits.
constexpr uint64_t Feature(int bit) { return uint64_t{1} << bit; }
constexpr uint64_t kCsum = Feature(0);
constexpr uint64_t kGuestCsum = Feature(1);
constexpr uint64_t kCtrlGuestOffloads = Feature(2);
constexpr uint64_t kMtu = Feature(3);
constexpr uint64_t kMac = Feature(5);
constexpr uint64_t kHostTso4 = Feature(11);
constexpr uint64_t kHostTso6 = Feature(12);
constexpr uint64_t kMrgRxbuf = Feature(15);
constexpr uint64_t kStatus = Feature(16);
constexpr uint64_t kCtrlVq = Feature(17);
constexpr uint64_t kCtrlRx = Feature(18);
constexpr uint64_t kMq = Feature(22);
constexpr uint64_t kIndirectDesc = Feature(28);
constexpr uint64_t kEventIdx = Feature(29);
constexpr uint64_t kVersion1 = Feature(32);
constexpr uint64_t kAccessPlatform = Feature(33);
constexpr uint64_t kRingPacked = Feature(34);
constexpr uint64_t kRingReset = Feature(40);
constexpr uint64_t kDeviceStats = Feature(50);
constexpr uint64_t kSpeedDuplex = Feature(63);

constexpr uint64_t kOffered =
    kCsum | kGuestCsum | kCtrlGuestOffloads | kMtu | kMac | kHostTso4 |
    kHostTso6 | kMrgRxbuf | kStatus | kCtrlVq | kCtrlRx | kMq | kIndirectDesc |
    kEventIdx | kVersion1 | kAccessPlatform | kRingPacked | kRingReset |
    kDeviceStats | kSpeedDuplex;

// Without which our own driver refuses.
constexpr uint64_t kBare = kVersion1 | kAccessPlatform | kMac;

// 4.1.4.3: offsets in the common configuration structure.
constexpr uint32_t kDeviceFeatureSelect = 0;
constexpr uint32_t kDeviceFeature = 4;
constexpr uint32_t kDriverFeatureSelect = 8;
constexpr uint32_t kDriverFeature = 12;
constexpr uint32_t kConfigMsixVector = 16;
constexpr uint32_t kNumQueues = 18;
constexpr uint32_t kDeviceStatus = 20;
constexpr uint32_t kConfigGeneration = 21;
constexpr uint32_t kQueueSelect = 22;
constexpr uint32_t kQueueSize = 24;
constexpr uint32_t kQueueMsixVector = 26;
constexpr uint32_t kQueueEnable = 28;
constexpr uint32_t kQueueNotifyOff = 30;
constexpr uint32_t kQueueDesc = 32;
constexpr uint32_t kQueueDriver = 40;
constexpr uint32_t kQueueDevice = 48;
constexpr uint32_t kQueueNotifyData = 56;
constexpr uint32_t kQueueReset = 58;
constexpr uint32_t kCommonBytes = 60;
constexpr uint16_t kNoVector = 0xffff;

// 5.1.4: device configuration.
constexpr uint32_t kConfigStatus = 6;
constexpr uint32_t kConfigMaxPairs = 8;
constexpr uint32_t kConfigMtu = 10;
constexpr uint32_t kConfigSpeed = 12;
constexpr uint32_t kConfigDuplex = 16;
constexpr uint32_t kDeviceConfigBytes = 20;
constexpr uint16_t kLinkUp = 1;  // VIRTIO_NET_S_LINK_UP

constexpr uint16_t kMaxMtu = 9000;
constexpr uint32_t kSpeedMbps = 10'000;

// 4.1.4.5: ISR status.
constexpr uint8_t kIsrQueue = 1;
constexpr uint8_t kIsrConfig = 2;

// 2.7.5 and 2.8.1: flags of a descriptor.
constexpr uint16_t kNext = 1;
constexpr uint16_t kWrite = 2;
constexpr uint16_t kIndirect = 4;
constexpr uint16_t kAvail = 1 << 7;
constexpr uint16_t kUsed = 1 << 15;

// 5.1.6: precedes every frame.
struct NetHeader {
  uint8_t flags = 0;
  uint8_t gso_type = 0;
  uint16_t hdr_len = 0;
  uint16_t gso_size = 0;
  uint16_t csum_start = 0;
  uint16_t csum_offset = 0;
  uint16_t num_buffers = 0;
};
static_assert(sizeof(NetHeader) == 12);
constexpr uint8_t kNeedsCsum = 1;
constexpr uint8_t kDataValid = 2;
constexpr uint8_t kGsoNone = 0;
constexpr uint8_t kGsoTcpv4 = 1;
constexpr uint8_t kGsoTcpv6 = 4;

// 5.1.6.5: control commands.
constexpr uint8_t kClassRx = 0;
constexpr uint8_t kRxPromisc = 0;
constexpr uint8_t kRxAllmulti = 1;
constexpr uint8_t kClassMac = 1;
constexpr uint8_t kMacTableSet = 0;
constexpr uint8_t kClassMq = 4;
constexpr uint8_t kVqPairsSet = 0;
constexpr uint8_t kClassGuestOffloads = 5;
constexpr uint8_t kGuestOffloadsSet = 0;
constexpr uint8_t kClassStats = 8;
constexpr uint8_t kStatsQuery = 0;
constexpr uint8_t kStatsGet = 1;
constexpr uint64_t kStatsRxBasic = 1;  // VIRTIO_NET_STATS_TYPE_RX_BASIC
constexpr uint8_t kOk = 0;
constexpr uint8_t kError = 1;

}  // namespace bulkhead::nic_model::virtio_net

#endif  // BULKHEAD_NIC_MODEL_VIRTIO_NET_LAYOUT_H_
