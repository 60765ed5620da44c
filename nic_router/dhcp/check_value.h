// Tells memory that was written to its end from memory that was not. No defence
// against somebody who wants to deceive: only the router can write there.
#ifndef BULKHEAD_NIC_ROUTER_DHCP_CHECK_VALUE_H_
#define BULKHEAD_NIC_ROUTER_DHCP_CHECK_VALUE_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "absl/strings/string_view.h"

namespace bulkhead::nic_router::dhcp {

// FNV-1a, 64 bits; `seed` says what kind of entry it is and in which version of
// its layout, so that one kind is never read as another. Never 0: zeroed memory
// is not an entry.
inline uint64_t CheckValue(uint64_t seed, std::span<const std::byte> bytes) {
  uint64_t sum = 0xcbf29ce484222325 ^ seed;
  for (const std::byte byte : bytes) {
    sum = (sum ^ static_cast<uint64_t>(byte)) * 0x100000001b3;
  }
  return sum == 0 ? 1 : sum;
}

// Which domain an entry belongs to: by name, since numbers change with the
// configuration.
inline uint32_t DomainTag(absl::string_view name) {
  const uint64_t sum = CheckValue(
      0, std::as_bytes(std::span<const char>(name.data(), name.size())));
  return static_cast<uint32_t>(sum ^ sum >> 32);
}

}  // namespace bulkhead::nic_router::dhcp

#endif  // BULKHEAD_NIC_ROUTER_DHCP_CHECK_VALUE_H_
