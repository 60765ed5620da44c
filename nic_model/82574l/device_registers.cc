// What reading and writing each register of BAR0 does besides.
#include <algorithm>

#include "nic_model/82574l/device.h"

namespace bulkhead::nic_model::i82574 {
namespace {

constexpr uint32_t kPacketBufferKb = 40;

}  // namespace

uint32_t Intel82574::ReadRegister(uint32_t offset) {
  switch (offset) {
    case kIcr:
      return interrupts_.ReadIcr();
    case kIcs:
      return regs()[kIcr];
    case kImc:
      return 0;
    case kRdt:
    case kTdt:
      SyncTails();
      return regs()[offset];
    case kRdh:
    case kTdh:
      return ReadHead(offset);
    default:
      return ReadGeneral(offset);
  }
}

void Intel82574::WriteRegister(uint32_t offset, uint32_t value) {
  switch (offset) {
    case kIcr:
      return interrupts_.WriteIcr(value);
    case kIcs:
      return interrupts_.Raise(value);
    case kIms:
      return interrupts_.WriteIms(value);
    case kImc:
      return interrupts_.WriteImc(value);
    case kRctl:
      regs()[kRctl] = value;
      UpdateReceiver();
      return ReceiverReady();
    case kTctl:
      regs()[kTctl] = value;
      Transmit();
      return;
    case kRdt:
      doorbells().set_rx_tail(value & 0xffff);
      return ReceiverReady();
    case kTdt:
      doorbells().set_tx_tail(value & 0xffff);
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
      regs()[offset] = value & 0xffff;
      return;
    case kPba: {
      const uint32_t rx_kb = std::min(value & 0x3f, kPacketBufferKb);
      regs()[kPba] = (kPacketBufferKb - rx_kb) << 16 | rx_kb;
      UpdateReceiver();
      return;
    }
    default:
      WriteGeneral(offset, value);
  }
}

}  // namespace bulkhead::nic_model::i82574
