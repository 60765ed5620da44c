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
    : intel::TestBenchBase({.pci_id = 0x10c98086,
                            .pci_class = 0x02000001,
                            .power_management = 0x40,
                            .msix = 0x70,
                            .tdbal = kTdbal,
                            .tdlen = kTdlen,
                            .tdh = kTdh,
                            .tdt = kTdt,
                            .rdbal = kRdbal,
                            .rdlen = kRdlen,
                            .rdh = kRdh,
                            .rdt = kRdt,
                            .queue_stride = kQueueStride,
                            .icr = kIcr,
                            .ics = kIcs,
                            .ims = kIms,
                            .imc = kImc,
                            .doorbells = 8,
                            .msix_vectors = kMsixVectors,
                            .rx_cause = 1 << 0,
                            .tx_cause = 1 << 1,
                            .other_cause = 1 << 2,
                            .set_causes = kEics,
                            .clear_causes = kEicr,
                            .unmask_causes = kEims,
                            .mask_causes = kEimc,
                            .eitr0 = kEitr0,
                            .eitr_5120_us = 5120 << kEitrShift}),
      nic(*Intel82576::Create(*loop, counters, Options(faults))) {
  PlugIn(nic.get());
}

void TestBench::BringUp(uint32_t rctl_extra, uint32_t srrctl_extra) {
  BeginBringUp();
  TurnOn(0, srrctl_extra);
  EndBringUp(rctl_extra);
}

void TestBench::TurnOn(uint32_t queue, uint32_t srrctl_extra) {
  Write(OfQueue(queue, kSrrctl),
        kSrrctlTypeOneBuffer | kBufferBytes / 1024 | srrctl_extra);
  Write(OfQueue(queue, kRxdctl), kQueueEnable);
  Write(OfQueue(queue, kTxdctl), kQueueEnable);
}

void TestBench::BringUpQueues(uint32_t queues, uint32_t srrctl_extra) {
  for (uint32_t queue = 1; queue < queues; ++queue) {
    SetUpRings(queue);
    TurnOn(queue, srrctl_extra);
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
  QueueDescriptor(FillTxBuffer(data, queue), command | kPlain | data.size(),
                  queue);
}

void TestBench::QueueTcp(std::span<const uint8_t> frame,
                         uint64_t segment_bytes) {
  QueueDescriptor(14 << 9 | 20, kTxDext | kTxTypeContext | kTxL4tTcp | kTxIpv4 |
                                    uint64_t{20} << 40 | segment_bytes << 48);
  QueueTx(frame, kTxEop | kTxRs | kTxTse | kTxTxsm | kTxIxsm |
                     uint64_t{frame.size() - 54} << 46);
}

void TestBench::AllocateVectors() {
  Write(kGpie, kGpieMultipleMsix | kGpieEiame);
  Write(kIvar0, kIvarValid | (kIvarValid | 1) << 8);
  Write(kIvarMisc, (kIvarValid | 2) << 8);
  Write(kIms, kIcrLsc);
}

void TestBench::AutoMask() {
  Write(kEiac, kEicrAll);
  Write(kEiam, kEicrAll);
}

}  // namespace bulkhead::nic_model::i82576
