// What a config space says beyond what libpci reads from it, and what is wrong
// with it. A device may lie (REFERENCE §8, 33 and 36): every walk is bounded.
//
// Threading: pure.
#ifndef BULKHEAD_PLATFORM_SERVICE_PCI_CONFIG_SPACE_H_
#define BULKHEAD_PLATFORM_SERVICE_PCI_CONFIG_SPACE_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"

namespace bulkhead::pci {

// Config space in bytes: conventional, and with the extended part.
inline constexpr size_t kConventionalBytes = 256;
inline constexpr size_t kExtendedBytes = 4096;

// The serial number as "00-1b-21-ff-ff-aa-bb-cc"; empty when `config` has no
// Device Serial Number capability (PCI Express Base Specification, 7.9.3).
std::string SerialNumber(absl::Span<const uint8_t> config);

// One finding each, for people; none for a well-behaved device. `config` may be
// of any length: what was not readable is not complained of.
std::vector<std::string> ConfigOddities(absl::Span<const uint8_t> config);

// The same of the sizes of BAR0 to BAR5; 0: no such BAR.
std::vector<std::string> BarOddities(const std::array<uint64_t, 6>& bar_bytes);

}  // namespace bulkhead::pci

#endif  // BULKHEAD_PLATFORM_SERVICE_PCI_CONFIG_SPACE_H_
