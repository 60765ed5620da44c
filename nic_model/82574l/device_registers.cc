// What reading and writing each register of BAR0 does besides.
#include <algorithm>
#include <utility>

#include "nic_model/82574l/device.h"

namespace bulkhead::nic_model::i82574 {
namespace {

constexpr uint32_t kPacketBufferKb = 40;

}  // namespace

uint32_t Intel82574::ReadRegister(uint32_t offset) {
  if (faults_.all_ones) return UINT32_MAX;
  if (Statistics::Holds(offset)) return statistics_.Read(offset);
  switch (offset) {
    case kCtrlDuplicate:
      return regs_[kCtrl];
    case kStatus:
      return Status();
    case kIcr:
      return interrupts_.ReadIcr();
    case kIcs:
      return regs_[kIcr];
    case kImc:
      return 0;
    case kRdt:
    case kTdt:
      SyncTails();
      return regs_[offset];
    case kRdh:
    case kTdh:
      return faults_.head_backwards && regs_[offset] > 1 ? regs_[offset] - 2
                                                         : regs_[offset];
    case kSwsm:
      // 10.2.8.15: reading takes the semaphore SMBI; who reads 0 has it.
      return std::exchange(regs_[kSwsm], regs_[kSwsm] | 1);
    default:
      return regs_[offset];
  }
}

void Intel82574::WriteRegister(uint32_t offset, uint32_t value) {
  if (faults_.all_ones || Statistics::Holds(offset)) return;
  switch (offset) {
    case kCtrl:
    case kCtrlDuplicate:
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
      if ((value & kMdicInterrupt) != 0) interrupts_.Raise(kIcrMdac);
      return;
    case kIcr:
      return interrupts_.WriteIcr(value);
    case kIcs:
      return interrupts_.Raise(value);
    case kIms:
      return interrupts_.WriteIms(value);
    case kImc:
      return interrupts_.WriteImc(value);
    case kRctl:
      regs_[kRctl] = value;
      receiver_.Update(link_up_);
      return ReceiverReady();
    case kTctl:
      regs_[kTctl] = value;
      Transmit();
      return;
    case kRdt:
      doorbells_->set_rx_tail(value & 0xffff);
      return ReceiverReady();
    case kTdt:
      doorbells_->set_tx_tail(value & 0xffff);
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
    case kRdtr:
    case kRadv:
    case kTidv:
    case kTadv:
    case kItr:
    case kEitr0:
    case kEitr0 + 4:
    case kEitr0 + 8:
    case kEitr0 + 12:
    case kEitr0 + 16:
      regs_[offset] = value & 0xffff;
      return;
    case kPba: {
      const uint32_t rx_kb = std::min(value & 0x3f, kPacketBufferKb);
      regs_[kPba] = (kPacketBufferKb - rx_kb) << 16 | rx_kb;
      receiver_.Update(link_up_);
      return;
    }
    case kFwsm:
    case kEemngctl:
      return;  // Firmware's.
    default:
      regs_[offset] = value;
  }
}

}  // namespace bulkhead::nic_model::i82574
