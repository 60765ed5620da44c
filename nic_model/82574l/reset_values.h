// What the registers of the 82574 hold after power-on and after CTRL.RST alike:
// datasheet chapter 10.
#ifndef BULKHEAD_NIC_MODEL_82574L_RESET_VALUES_H_
#define BULKHEAD_NIC_MODEL_82574L_RESET_VALUES_H_

#include "nic_model/intel/register_file.h"

namespace bulkhead::nic_model::i82574 {

// The receive address comes from the NVM, so the device writes it.
void ResetRegisters(intel::RegisterFile& regs);

}  // namespace bulkhead::nic_model::i82574

#endif  // BULKHEAD_NIC_MODEL_82574L_RESET_VALUES_H_
