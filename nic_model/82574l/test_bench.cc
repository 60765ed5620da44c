#include "nic_model/82574l/test_bench.h"

#include "nic_model/82574l/registers.h"

namespace bulkhead::nic_model::i82574 {

TestBench::TestBench(const Faults& faults)
    : intel::TestBenchBase({.pci_id = 0x10d38086,
                            .pci_class = 0x02000000,
                            .power_management = 0xc8,
                            .msix = 0xa0,
                            .tdbal = kTdbal,
                            .tdlen = kTdlen,
                            .tdh = kTdh,
                            .tdt = kTdt,
                            .rdbal = kRdbal,
                            .rdlen = kRdlen,
                            .rdh = kRdh,
                            .rdt = kRdt,
                            .icr = kIcr,
                            .ics = kIcs,
                            .ims = kIms,
                            .imc = kImc,
                            .doorbells = 2,
                            .msix_vectors = kMsixVectors,
                            .rx_cause = kIcrRxq0,
                            .tx_cause = kIcrTxq0,
                            .other_cause = kIcrOther,
                            .set_causes = kIcs,
                            .clear_causes = kIcr,
                            .unmask_causes = kIms,
                            .mask_causes = kImc,
                            .eitr0 = kEitr0,
                            .eitr_5120_us = 20'000}),
      nic(*Intel82574::Create(*loop, counters, Options(faults))) {
  PlugIn(nic.get());
}

void TestBench::BringUp(uint32_t rctl_extra, uint32_t rfctl) {
  BeginBringUp();
  Write(kRfctl, rfctl);
  EndBringUp(rctl_extra);
}

void TestBench::QueueTx(std::span<const uint8_t> data, uint32_t command) {
  QueueDescriptor(FillTxBuffer(data), command | data.size());
}

void TestBench::QueueTcp(std::span<const uint8_t> frame,
                         uint64_t segment_bytes) {
  constexpr uint64_t kTucmd = 0x03000000;  // TCP over IPv4.
  QueueDescriptor(
      14 | 24 << 8 | 33 << 16 | uint64_t{34} << 32 | uint64_t{50} << 40,
      (frame.size() - 54) | kTxDext | kTxTse | kTucmd | uint64_t{54} << 40 |
          segment_bytes << 48);
  QueueTx(frame, kTxEop | kTxRs | kTxDext | kTxTypeData | kTxTse);
}

void TestBench::AllocateVectors() {
  Write(kIvar, 0x8 << 0 | 0x9 << 8 | 0xa << 16);
  Write(kIcr, ~0u);
}

void TestBench::AutoMask() { Write(kEiac, kIcrRxq0 | kIcrTxq0 | kIcrOther); }

}  // namespace bulkhead::nic_model::i82574
