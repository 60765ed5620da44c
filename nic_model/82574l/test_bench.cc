#include "nic_model/82574l/test_bench.h"

#include "nic_model/82574l/registers.h"

namespace bulkhead::nic_model::i82574 {

TestBench::TestBench(const Faults& faults)
    : intel::TestBenchBase(
          {.tdt = kTdt, .rdt = kRdt, .msix_vectors = kMsixVectors}),
      nic(*Intel82574::Create(*loop, counters, Options(faults))) {
  PlugIn(nic.get());
}

void TestBench::BringUp(uint32_t rctl_extra, uint32_t rfctl) {
  MapMemory();
  SetBusMaster(true);
  Write(kCtrl, kCtrlFd | kCtrlSlu);
  Write(kTdbal, static_cast<uint32_t>(kTxRing));
  Write(kTdlen, kRingCount * 16);
  Write(kRdbal, static_cast<uint32_t>(kRxRing));
  Write(kRdlen, kRingCount * 16);
  Write(kRfctl, rfctl);
  Write(kTctl, kTctlEn | kTctlPsp);
  Write(kRctl, kRctlEn | kRctlUpe | kRctlSecrc | kRctlBam | rctl_extra);
  Read(kIcr);
}

void TestBench::QueueTx(std::span<const uint8_t> data, uint32_t command) {
  QueueDescriptor(FillTxBuffer(data), command | data.size());
}

}  // namespace bulkhead::nic_model::i82574
