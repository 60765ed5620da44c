#include "platform_service/pci/device.h"

#include <algorithm>

#include "absl/strings/ascii.h"

namespace bulkhead::pci {

const char* SourceName(Source source) {
  switch (source) {
    case Source::kSimulated:
      return "simulated";
    case Source::kSysfs:
      return "sysfs";
    case Source::kRecorded:
      return "recorded";
    case Source::kLinux:
      return "linux";
  }
  return "unknown";
}

bool IsPciAddress(absl::string_view text) {
  constexpr size_t kRestCharacters = 8;  // ":BB:DD.F"
  constexpr absl::string_view kRest = ":##:##.#";
  if (text.size() < 4 + kRestCharacters || text.size() > 8 + kRestCharacters) {
    return false;
  }
  const absl::string_view domain =
      text.substr(0, text.size() - kRestCharacters);
  const absl::string_view rest = text.substr(domain.size());
  return std::all_of(domain.begin(), domain.end(), absl::ascii_isxdigit) &&
         std::equal(
             rest.begin(), rest.end(), kRest.begin(), [](char c, char shape) {
               return shape == '#' ? absl::ascii_isxdigit(c) : c == shape;
             });
}

}  // namespace bulkhead::pci
