// Diagnose's two halves: the machine as a whole, and one device.
#ifndef BULKHEAD_PLATFORM_SERVICE_DOCTOR_REPORTS_H_
#define BULKHEAD_PLATFORM_SERVICE_DOCTOR_REPORTS_H_

#include "platform_service/doctor/diagnosis.h"

namespace bulkhead::doctor {

Report ExamineMachine(const Machine& machine);

// `asked`: the operator named this device, so that what the machine keeps is an
// obstacle.
Report ExamineDevice(const Machine& machine, const pci::PciDeviceInfo& device,
                     const policy::DriverCatalog& drivers, bool asked);

}  // namespace bulkhead::doctor

#endif  // BULKHEAD_PLATFORM_SERVICE_DOCTOR_REPORTS_H_
