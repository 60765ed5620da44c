#include "platform_service/pci/device.h"

namespace bulkhead::pci {

const char* SourceName(Source source) {
  switch (source) {
    case Source::kSimulated:
      return "simulated";
    case Source::kSysfs:
      return "sysfs";
    case Source::kRecorded:
      return "recorded";
  }
  return "unknown";
}

}  // namespace bulkhead::pci
