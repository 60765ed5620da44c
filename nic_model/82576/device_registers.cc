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
    case kCtrlDuplicate:
      return kCtrl;
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
  if (faults_.all_ones) return UINT32_MAX;
  if (intel::Statistics::Holds(offset)) return statistics_.Read(offset);
  offset = Canonical(offset);
  const auto [kind, queue] = QueueRegister(offset);
  switch (kind) {
    case kStatus:
      return Status();
    case kIcr:
      return interrupts_.ReadIcr();
    case kIcs:
      return regs_[kIcr];
    case kEicr:
      return interrupts_.ReadEicr();
    case kEics:
      return regs_[kEicr];
    case kImc:
    case kEimc:
      return 0;
    case kRdt:
      return doorbells_->rx_tail(queue) & 0xffff;
    case kTdt:
      return doorbells_->tx_tail(queue) & 0xffff;
    case kRdh:
    case kTdh:
      return faults_.head_backwards && regs_[offset] > 1 ? regs_[offset] - 2
                                                         : regs_[offset];
    case kRqdpc:
      return std::exchange(regs_[offset], 0);
    case kSwsm:
      // 8.6: reading takes the semaphore SMBI; who reads 0 has it.
      return std::exchange(regs_[kSwsm], regs_[kSwsm] | 1);
    default:
      return regs_[offset];
  }
}

void Intel82576::WriteRegister(uint32_t offset, uint32_t value) {
  if (faults_.all_ones || intel::Statistics::Holds(offset)) return;
  offset = Canonical(offset);
  const auto [kind, queue] = QueueRegister(offset);
  switch (kind) {
    case kCtrl:
      return WriteCtrl(value);
    case kStatus:
      if ((value & kStatusPhyra) == 0) regs_[kStatus] &= ~kStatusPhyra;
      return;
    case kEecd:
      // Bit 7 grants what bit 6 asks for.
      regs_[kEecd] =
          kEecdPresent | kEecdAutoRead | (value & 0x4f) | ((value & 0x40) << 1);
      return;
    case kEerd:
      regs_[kEerd] = nvm_.Read(value);
      return;
    case kCtrlExt:
      regs_[kCtrlExt] = value & ~(kCtrlExtAsdchk | kCtrlExtEeRst);
      return;
    case kMdic:
      regs_[kMdic] = phy_.Access(value);
      if ((value & kMdicInterrupt) != 0) interrupts_.RaiseOther(kIcrMdac);
      return;
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
      regs_[offset] = value & kEicrAll;
      return;
    case kRctl:
    case kSrrctl:
    case kRxdctl:
    case kRxpbs:
      regs_[offset] = value;
      receiver_.Update(link_up_);
      return ReceiverReady();
    case kTctl:
    case kTxdctl:
      regs_[offset] = value;
      Transmit();
      return;
    case kRdt:
      doorbells_->set_rx_tail(value & 0xffff, queue);
      return ReceiverReady();
    case kTdt:
      doorbells_->set_tx_tail(value & 0xffff, queue);
      Transmit();
      return;
    case kRdlen:
    case kTdlen:
      regs_[offset] = value & 0xfff80;
      return;
    case kRdbal:
    case kTdbal:
      regs_[offset] = value & ~0xfu;
      return;
    case kRdh:
    case kTdh:
      regs_[offset] = value & 0xffff;
      return;
    case kRlpml:
      regs_[offset] = value & 0x3fff;
      return;
    case kRqdpc:
    case kFwsm:
    case kEemngctl:
      return;  // The device's, or firmware's.
    default:
      regs_[offset] = value;
      if (Rss::Holds(offset)) receiver_.UpdateRss();
  }
}

}  // namespace bulkhead::nic_model::i82576
