// What reading and writing each register of BAR0 does besides.
#include <utility>

#include "nic_model/82576/device.h"

namespace bulkhead::nic_model::i82576 {
namespace {

// Older controllers have the registers of queues 0 to 3, and those of the
// causes, elsewhere (8.1.3); both places are the same registers.
uint32_t Canonical(uint32_t offset) {
  constexpr uint32_t kOldRx = 0x2800, kOldTx = 0x3800, kOldStride = 0x100;
  for (const auto& [old, now] : {std::pair(kOldRx, kRdbal), {kOldTx, kTdbal}}) {
    const uint32_t queue = (offset - old) / kOldStride;
    const uint32_t within = (offset - old) % kOldStride;
    if (offset >= old && queue < 4 && within < kQueueStride) {
      return now + queue * kQueueStride + within;
    }
  }
  switch (offset) {
    case 0x00c0:
      return kIcr;
    case 0x00c8:
      return kIcs;
    case 0x00d0:
      return kIms;
    case 0x00d8:
      return kImc;
    case 0x00e0:
      return kIam;
    default:
      return offset;
  }
}

// Of a register that each queue has: that of queue 0, and which queue it is.
std::pair<uint32_t, uint32_t> QueueRegister(uint32_t offset) {
  for (const uint32_t first : {kRdbal, kTdbal}) {
    const uint32_t within = offset - first;
    if (offset >= first && within < kQueues * kQueueStride) {
      return {first + within % kQueueStride, within / kQueueStride};
    }
  }
  return {offset, 0};
}

}  // namespace

uint32_t Intel82576::ReadRegister(uint32_t offset) {
  offset = Canonical(offset);
  const auto [kind, queue] = QueueRegister(offset);
  switch (kind) {
    case kIcr:
      return interrupts_.ReadIcr();
    case kIcs:
      return regs()[kIcr];
    case kEicr:
      return interrupts_.ReadEicr();
    case kEics:
      return regs()[kEicr];
    case kImc:
    case kEimc:
      return 0;
    case kRdt:
      return doorbells().rx_tail(queue) & 0xffff;
    case kTdt:
      return doorbells().tx_tail(queue) & 0xffff;
    case kRdh:
    case kTdh:
      return ReadHead(offset);
    case kRqdpc:
      return std::exchange(regs()[offset], 0);
    default:
      return ReadGeneral(offset);
  }
}

void Intel82576::WriteRegister(uint32_t offset, uint32_t value) {
  offset = Canonical(offset);
  const auto [kind, queue] = QueueRegister(offset);
  switch (kind) {
    case kIcr:
      return interrupts_.WriteIcr(value);
    case kIcs:
      return interrupts_.RaiseOther(value);
    case kIms:
      return interrupts_.WriteIms(value);
    case kImc:
      return interrupts_.WriteImc(value);
    case kEicr:
      return interrupts_.WriteEicr(value);
    case kEics:
      return interrupts_.WriteEics(value);
    case kEims:
      return interrupts_.WriteEims(value);
    case kEimc:
      return interrupts_.WriteEimc(value);
    case kEiac:
    case kEiam:
      regs()[offset] = value & kEicrAll;
      return;
    case kRctl:
    case kSrrctl:
    case kRxdctl:
    case kRxpbs:
      regs()[offset] = value;
      UpdateReceiver();
      return ReceiverReady();
    case kTctl:
    case kTxdctl:
      regs()[offset] = value;
      Transmit();
      return;
    case kRdt:
      doorbells().set_rx_tail(value & 0xffff, queue);
      return ReceiverReady();
    case kTdt:
      doorbells().set_tx_tail(value & 0xffff, queue);
      Transmit();
      return;
    case kRdlen:
    case kTdlen:
      regs()[offset] = value & 0xfff80;
      return;
    case kRdbal:
    case kTdbal:
      regs()[offset] = value & ~0xfu;
      return;
    case kRdh:
    case kTdh:
      regs()[offset] = value & 0xffff;
      return;
    case kRlpml:
      regs()[offset] = value & 0x3fff;
      return;
    case kRqdpc:
      return;  // The device's.
    default:
      WriteGeneral(offset, value);
      if (Rss::Holds(offset)) receiver_.UpdateRss();
  }
}

}  // namespace bulkhead::nic_model::i82576
