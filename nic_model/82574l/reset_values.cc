#include "nic_model/82574l/reset_values.h"

#include "nic_model/82574l/registers.h"

namespace bulkhead::nic_model::i82574 {

void ResetRegisters(RegisterFile& regs) {
  regs.Clear();
  // 10.2.2.1: SLU is clear, so that software brings the link up.
  regs[kCtrl] = kCtrlFd | kCtrlSpeed1000;
  // 10.2.2.2: PHYRA says that the PHY was reset, until software clears it.
  regs[kStatus] = kStatusLanInitDone | kStatusPhyra;
  regs[kEecd] = kEecdPresent | kEecdAutoRead;
  regs[kEemngctl] = 1u << 18;  // CFG_DONE: the PHY is configured.
  regs[kPba] = 0x00140014;     // 20 KB for each direction.
  regs[kLedctl] = 0x07061302;
  regs[kTipg] = 0x00702008;
  regs[kRxdctl] = 0x01010000;
  regs[kTarc0] = 0x00000403;  // Queue 0 enabled.
  regs[kVet] = 0x8100;
}

}  // namespace bulkhead::nic_model::i82574
