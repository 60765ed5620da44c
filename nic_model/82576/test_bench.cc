#include "nic_model/82576/test_bench.h"

#include <array>
#include <cstring>

#include "nic_model/82576/registers.h"

namespace bulkhead::nic_model::i82576 {
namespace {

constexpr std::array<uint8_t, 40> kRssKey = {
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
    0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
    0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
    0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

}  // namespace

TestBench::TestBench(const Faults& faults)
    : intel::TestBenchBase({.tdt = kTdt,
                            .rdt = kRdt,
                            .msix_vectors = kMsixVectors,
                            .queue_stride = kQueueStride}),
      nic(*Intel82576::Create(*loop, counters, Options(faults))) {
  PlugIn(nic.get());
}

void TestBench::BringUp(uint32_t rctl_extra, uint32_t srrctl_extra) {
  MapMemory();
  SetBusMaster(true);
  Write(kCtrl, kCtrlFd | kCtrlSlu);
  Write(kTdbal, static_cast<uint32_t>(kTxRing));
  Write(kTdlen, kRingCount * 16);
  Write(kRdbal, static_cast<uint32_t>(kRxRing));
  Write(kRdlen, kRingCount * 16);
  Write(kSrrctl, kSrrctlTypeOneBuffer | kBufferBytes / 1024 | srrctl_extra);
  Write(kRxdctl, kQueueEnable);
  Write(kTxdctl, kQueueEnable);
  Write(kTctl, kTctlEn | kTctlPsp);
  Write(kRctl, kRctlEn | kRctlUpe | kRctlSecrc | kRctlBam | rctl_extra);
  Read(kIcr);
}

void TestBench::BringUpQueues(uint32_t queues, uint32_t srrctl_extra) {
  for (uint32_t queue = 1; queue < queues; ++queue) {
    Write(OfQueue(queue, kTdbal), static_cast<uint32_t>(TxRing(queue)));
    Write(OfQueue(queue, kTdlen), kRingCount * 16);
    Write(OfQueue(queue, kRdbal), static_cast<uint32_t>(RxRing(queue)));
    Write(OfQueue(queue, kRdlen), kRingCount * 16);
    Write(OfQueue(queue, kSrrctl),
          kSrrctlTypeOneBuffer | kBufferBytes / 1024 | srrctl_extra);
    Write(OfQueue(queue, kRxdctl), kQueueEnable);
    Write(OfQueue(queue, kTxdctl), kQueueEnable);
  }
  for (uint32_t i = 0; i < 10; ++i) {
    uint32_t word;
    std::memcpy(&word, kRssKey.data() + 4 * i, 4);
    Write(kRssrk + 4 * i, word);
  }
  for (uint32_t i = 0; i < 128; i += 4) {
    uint32_t word = 0;
    for (uint32_t at = 0; at < 4; ++at) word |= (i + at) % queues << 8 * at;
    Write(kReta + i, word);
  }
  Write(kMrqc, kMrqcModeRss | kMrqcTcpIpv4 | kMrqcUdpIpv4 | kMrqcIpv4 |
                   kMrqcTcpIpv6 | kMrqcUdpIpv6 | kMrqcIpv6);
  Write(kRxcsum, kRxcsumPcsd);
}

void TestBench::QueueTx(std::span<const uint8_t> data, uint64_t command,
                        uint32_t queue) {
  QueueDescriptor(FillTxBuffer(data, queue),
                  command | kTxDext | kTxTypeData | data.size(), queue);
}

}  // namespace bulkhead::nic_model::i82576
