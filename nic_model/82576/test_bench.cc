#include "nic_model/82576/test_bench.h"

#include "nic_model/82576/registers.h"

namespace bulkhead::nic_model::i82576 {

TestBench::TestBench(const Faults& faults)
    : intel::TestBenchBase(
          {.tdt = kTdt, .rdt = kRdt, .msix_vectors = kMsixVectors}),
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

void TestBench::QueueTx(std::span<const uint8_t> data, uint64_t command) {
  QueueDescriptor(FillTxBuffer(data),
                  command | kTxDext | kTxTypeData | data.size());
}

}  // namespace bulkhead::nic_model::i82576
