// A recorded `lspci -xxxx` dump, checked before libpci reads it: libpci ends
// the process over a line that it does not like.
#ifndef BULKHEAD_PLATFORM_SERVICE_PCI_RECORDED_DUMP_H_
#define BULKHEAD_PLATFORM_SERVICE_PCI_RECORDED_DUMP_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace bulkhead::pci {

// The text of the file at `path`: a regular file of at most 16 MiB that passes
// CheckDump. Errors say the line, the cause and the remedy.
absl::StatusOr<std::string> ReadDump(const std::string& path);

// Whether `text` is a dump: device lines ("01:00.0 …", "0000:01:00.0 …"), each
// followed by lines of config space ("00: 86 80 d3 10 …"); other lines do not
// matter. `path` stands in messages.
absl::Status CheckDump(absl::string_view text, const std::string& path);

}  // namespace bulkhead::pci

#endif  // BULKHEAD_PLATFORM_SERVICE_PCI_RECORDED_DUMP_H_
