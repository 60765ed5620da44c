// VFIO's leave to take cards whose interrupts are not remapped. Such a card can
// forge any interrupt of the machine by a plain memory write (VT-d
// specification, chapter 5), so that where it is given, Bulkhead takes none.
//
// Said here once: what `up` refuses, `doctor` calls an obstacle.
#ifndef BULKHEAD_PLATFORM_SERVICE_VFIO_UNSAFE_INTERRUPTS_H_
#define BULKHEAD_PLATFORM_SERVICE_VFIO_UNSAFE_INTERRUPTS_H_

#include "absl/strings/string_view.h"

namespace bulkhead::platform {

// Below /sys.
inline constexpr char kUnsafeInterruptsFile[] =
    "module/vfio_iommu_type1/parameters/allow_unsafe_interrupts";

// `parameter`: what the file says, without the newline; empty: there is none.
inline bool AllowsUnsafeInterrupts(absl::string_view parameter) {
  return parameter == "Y";
}

inline constexpr char kUnsafeInterruptsCause[] =
    "VFIO was told to allow unsafe interrupts, so that a card could forge any";
inline constexpr char kUnsafeInterruptsRemedy[] =
    "`echo N > "
    "/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts`";

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_VFIO_UNSAFE_INTERRUPTS_H_
