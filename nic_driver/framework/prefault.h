// A warm spare has time; a recovery has not.
#ifndef BULKHEAD_NIC_DRIVER_FRAMEWORK_PREFAULT_H_
#define BULKHEAD_NIC_DRIVER_FRAMEWORK_PREFAULT_H_

namespace bulkhead::nic_driver {

// Maps the pages of the program's own code and data for reading, so that its
// first run through the start takes no page faults on them. They are the page
// cache's: no private memory is used. Without effect on kernels before 5.14.
void PrefaultProgram();

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_FRAMEWORK_PREFAULT_H_
