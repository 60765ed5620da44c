// What the registers of the 82576 hold after power-on and after CTRL.RST alike:
// datasheet chapter 8.
#ifndef BULKHEAD_NIC_MODEL_82576_RESET_VALUES_H_
#define BULKHEAD_NIC_MODEL_82576_RESET_VALUES_H_

#include "nic_model/intel/register_file.h"

namespace bulkhead::nic_model::i82576 {

// The receive address comes from the EEPROM, so the device writes it.
void ResetRegisters(intel::RegisterFile& regs);

}  // namespace bulkhead::nic_model::i82576

#endif  // BULKHEAD_NIC_MODEL_82576_RESET_VALUES_H_
