// Readers of single values. YAML would guess (`yes` a boolean, `010` an eight,
// `10d3` a text); these do not: what is not written exactly as expected is an
// error that says how to write it.
//
// Each returns INVALID_ARGUMENT with a message for the user, the value quoted.
// Threading: pure.
#ifndef BULKHEAD_PLATFORM_SERVICE_POLICY_SCALAR_H_
#define BULKHEAD_PLATFORM_SERVICE_POLICY_SCALAR_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "platform_service/policy/scenario.h"

namespace bulkhead::policy {

// "true" or "false".
absl::StatusOr<bool> ReadBool(absl::string_view text);

// Decimal digits.
absl::StatusOr<uint64_t> ReadNumber(absl::string_view text, uint64_t least,
                                    uint64_t most);

// "0x8086": a PCI vendor or device.
absl::StatusOr<uint16_t> ReadId(absl::string_view text);

// "250us", "10ms", "5s", "2m" or "1h", in units of `unit_us` microseconds (1,
// or 1000 for whole milliseconds). `least` and `most` are in the same units.
absl::StatusOr<uint64_t> ReadDuration(absl::string_view text, uint64_t unit_us,
                                      uint64_t least, uint64_t most);

// "64KiB", "8MiB" or "1GiB".
absl::StatusOr<uint64_t> ReadBytes(absl::string_view text, uint64_t least,
                                   uint64_t most);

// "02:00:00:00:00:01": one card's own address, no group's.
absl::StatusOr<MacAddress> ReadMac(absl::string_view text);
// "33:33:00:00:00:fb": a group's.
absl::StatusOr<MacAddress> ReadGroupMac(absl::string_view text);

// "00-1b-21-ff-ff-aa-bb-cc", the first byte the most significant, as lspci
// prints a Device Serial Number.
absl::StatusOr<uint64_t> ReadSerial(absl::string_view text);

struct ClassMatch {
  uint32_t value;
  uint32_t mask;
};

// "network", "ethernet", "infiniband", or 2, 4 or 6 hexadecimal digits: "0x02",
// "0x0200".
absl::StatusOr<ClassMatch> ReadClass(absl::string_view text);

// A PCI address, in full or without its domain, or a glob of one; what comes
// back has its domain and is lower-case: "0000:01:00.0", "0000:01:00.*".
absl::StatusOr<std::string> ReadAddress(absl::string_view text);

// [a-z][a-z0-9_-]*, at most 32 characters.
absl::Status CheckName(absl::string_view text);

// "5s", "100ms" or "250us": as ReadDuration reads it.
std::string DurationText(uint64_t microseconds);
// "8MiB", "64KiB" or "100 bytes".
std::string BytesText(uint64_t bytes);
// "02:00:00:00:00:01"
std::string MacText(const MacAddress& mac);
// "00-1b-21-ff-ff-aa-bb-cc"
std::string SerialText(uint64_t serial);

}  // namespace bulkhead::policy

#endif  // BULKHEAD_PLATFORM_SERVICE_POLICY_SCALAR_H_
