#include "nic_model/82576/reset_values.h"

#include "nic_model/82576/registers.h"

namespace bulkhead::nic_model::i82576 {

void ResetRegisters(intel::RegisterFile& regs) {
  regs.Clear();
  // 8.2.1: SLU is clear, so that software brings the link up.
  regs[kCtrl] = kCtrlFd | kCtrlSpeed1000;
  // 8.2.2: PHYRA says that the PHY was reset, until software clears it.
  regs[kStatus] = kStatusPhyra;
  regs[kEecd] = kEecdPresent | kEecdAutoRead;
  regs[kEemngctl] = 3u << 18;  // CFG_DONE of both ports: PHYs are configured.
  regs[kLedctl] = 0x07068302;
  regs[kVet] = 0x81008100;
  regs[kTipg] = 0x00601008;
  regs[kTctl] = 0xa40400f8;
  regs[kRxpbs] = 64;  // KiB.
  regs[kTxpbs] = 40;
  regs[kRxcsum] = kRxcsumIpofl | kRxcsumTuofl;
  regs[kRlpml] = 0x2600;
  // Queue 0 alone is on.
  for (uint32_t queue = 0; queue < kQueues; ++queue) {
    regs[OfQueue(queue, kRxdctl)] = 1u << 16;
    regs[OfQueue(queue, kSrrctl)] = queue == 0 ? 0 : kSrrctlDropEn;
  }
  regs[kRxdctl] |= kQueueEnable;
  regs[kTxdctl] |= kQueueEnable;
}

}  // namespace bulkhead::nic_model::i82576
