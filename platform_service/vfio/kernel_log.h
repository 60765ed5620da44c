// What the kernel's log says of functions that misbehaved: DMA that the IOMMU
// blocked, and errors that PCIe reported.
#ifndef BULKHEAD_PLATFORM_SERVICE_VFIO_KERNEL_LOG_H_
#define BULKHEAD_PLATFORM_SERVICE_VFIO_KERNEL_LOG_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"

namespace bulkhead::platform {

struct DeviceFault {
  enum class Kind : uint8_t {
    kDma,  // The IOMMU blocked an access, be it an interrupt request.
    kBus,  // Advanced error reporting of PCIe.
  };
  Kind kind = Kind::kDma;
  std::string address;   // Of the function: "0000:01:00.0".
  std::string text;      // "DMA write to 0xdead000, …"
  uint64_t time_us = 0;  // Of the kernel's clock, near CLOCK_MONOTONIC.

  bool operator==(const DeviceFault&) const = default;
};

// One record of /dev/kmsg: "PREFIX,SEQUENCE,TIMESTAMP,FLAGS;TEXT" and further
// lines. Nothing when it is about something else. Any text is survived; what
// comes back is printable.
//
// Intel (drivers/iommu/intel/dmar.c): "DMAR: [DMA Write NO_PASID] Request
// device [01:00.0] fault addr 0xdead000 [fault reason 0x05] PTE Write access is
// not set"; "DMAR: [INTR-REMAP] Request device [01:00.0] fault index 0x7fff
// [fault reason 0x22] Present field in the IRTE entry is clear". AMD
// (drivers/iommu/amd/iommu.c, amd_iommu_report_page_fault): of a function that
// Linux knows "DRIVER 0000:01:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT
// domain=… address=0x… flags=…]", of any other one "AMD-Vi: Event logged
// [IO_PAGE_FAULT device=01:00.0 domain=…", with 0000: in front of it since 6.0.
// AER (drivers/pci/pcie/aer.c): "DRIVER 0000:01:00.0: AER: … error …" or
// "DRIVER 0000:01:00.0: PCIe Bus Error: …".
std::optional<DeviceFault> ParseKernelRecord(absl::string_view record);

// Reads /dev/kmsg from now on. The kernel limits the rate of such records by
// itself; what it drops is not seen here.
class KernelLog {
 public:
  using Handler = std::function<void(const DeviceFault&)>;

  static absl::StatusOr<std::unique_ptr<KernelLog>> Open(EventLoop& loop,
                                                         Handler handler);
  ~KernelLog();

 private:
  KernelLog(EventLoop& loop, UniqueFd file, Handler handler)
      : loop_(loop), file_(std::move(file)), handler_(std::move(handler)) {}
  void HandleReadable();

  EventLoop& loop_;
  UniqueFd file_;
  Handler handler_;
  EventLoop::WatchId watch_ = 0;
};

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_VFIO_KERNEL_LOG_H_
