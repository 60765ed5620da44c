// Readers of single values of the router's section, as scalar.h's: Internet
// addresses, their networks, and rates.
//
// Threading: pure.
#ifndef BULKHEAD_PLATFORM_SERVICE_POLICY_IP_SCALAR_H_
#define BULKHEAD_PLATFORM_SERVICE_POLICY_IP_SCALAR_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "nic_router/config.h"

namespace bulkhead::policy {

// "10.0.1.1": the address of one machine.
absl::StatusOr<nic_router::Ipv4Address> ReadIpv4(absl::string_view text);
// "10.0.1.1/24": a machine's address, and the length of its network.
absl::StatusOr<nic_router::Ipv4Prefix> ReadIpv4Interface(
    absl::string_view text);
// "10.0.1.0/24": a network; the bits behind its length are 0.
absl::StatusOr<nic_router::Ipv4Prefix> ReadIpv4Network(absl::string_view text);

// The same of IPv6: "2001:db8::1", "2001:db8::1/64", "2001:db8::/64".
absl::StatusOr<nic_router::Ipv6Address> ReadIpv6(absl::string_view text);
absl::StatusOr<nic_router::Ipv6Prefix> ReadIpv6Interface(
    absl::string_view text);
absl::StatusOr<nic_router::Ipv6Prefix> ReadIpv6Network(absl::string_view text);

// "100Kbit", "10Mbit" or "1Gbit": bits a second, in powers of ten.
absl::StatusOr<uint64_t> ReadBitRate(absl::string_view text, uint64_t least,
                                     uint64_t most);

// Whether `network` (of which only the first `bits` count) has `address` in it.
bool Contains(const nic_router::Ipv4Prefix& network,
              nic_router::Ipv4Address address);
bool Contains(const nic_router::Ipv6Prefix& network,
              const nic_router::Ipv6Address& address);
// The addresses that no machine of a network may have; of /31 and /32 there are
// none (RFC 3021).
bool IsNetworkOrBroadcast(const nic_router::Ipv4Prefix& network,
                          nic_router::Ipv4Address address);

std::string Ipv4Text(nic_router::Ipv4Address address);
std::string Ipv4Text(const nic_router::Ipv4Prefix& prefix);
std::string Ipv6Text(const nic_router::Ipv6Address& address);
std::string Ipv6Text(const nic_router::Ipv6Prefix& prefix);

}  // namespace bulkhead::policy

#endif  // BULKHEAD_PLATFORM_SERVICE_POLICY_IP_SCALAR_H_
