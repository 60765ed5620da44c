// Fuzz entry: any bytes as a record of the kernel's log. What comes back names
// a function by a real address and holds printable characters only.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "platform_service/pci/device.h"
#include "platform_service/vfio/kernel_log.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto fault = bulkhead::platform::ParseKernelRecord(
      {reinterpret_cast<const char*>(data), size});
  if (!fault.has_value()) return 0;
  if (!bulkhead::pci::IsPciAddress(fault->address)) abort();
  for (const char c : fault->text) {
    if (c < 0x20 || c > 0x7e) abort();
  }
  return 0;
}
