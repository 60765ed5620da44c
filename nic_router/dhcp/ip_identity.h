// What a domain without `interface` has from its DHCP server, and how that lies
// in the memory that outlives the router.
#ifndef BULKHEAD_NIC_ROUTER_DHCP_IP_IDENTITY_H_
#define BULKHEAD_NIC_ROUTER_DHCP_IP_IDENTITY_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <type_traits>

#include "absl/strings/string_view.h"
#include "nic_router/config.h"
#include "nic_router/dhcp/message.h"

namespace bulkhead::nic_router::dhcp {

struct IpIdentity {
  Ipv4Prefix interface;
  std::optional<Ipv4Address> gateway;
  AddressList dns;

  Ipv4Address server = 0;
  MacAddress server_mac{};  // Where renewals go: the server, or on the way.
  // Who the server believes the client to be, whichever uplink it speaks over.
  MacAddress identifier{};
  // CLOCK_MONOTONIC; UINT64_MAX: never.
  uint64_t renew_ns = 0;
  uint64_t rebind_ns = 0;
  uint64_t expire_ns = 0;
};

// RFC 2131 4.4.1: an offer or acknowledgement of which we can live, arrived at
// `now_ns`. None: an address that no host can have, no netmask, or no time.
std::optional<IpIdentity> IdentityFrom(const Message& message,
                                       const MacAddress& sender,
                                       const MacAddress& identifier,
                                       uint64_t now_ns);

// Fixed size and places; zeros are no identity.
struct IdentityEntry {
  uint64_t renew_ns = 0;
  uint64_t rebind_ns = 0;
  uint64_t expire_ns = 0;
  uint32_t domain = 0;  // DomainTag of its name.
  uint32_t address = 0;
  uint32_t bits = 0;
  uint32_t gateway = 0;  // 0: none.
  uint32_t server = 0;
  uint32_t dns[AddressList::kCapacity] = {};
  uint32_t dns_count = 0;
  uint8_t server_mac[6] = {};
  uint8_t identifier[6] = {};
  uint8_t reserved[4] = {};
  uint64_t check = 0;
};
static_assert(sizeof(IdentityEntry) == 104);
static_assert(alignof(IdentityEntry) == 8);
static_assert(std::has_unique_object_representations_v<IdentityEntry>);

// `slot` holds one entry, at any alignment, or is empty: then nothing is kept.
// Writing over an old one in parts is safe: what a router that dies in between
// leaves is dropped.
void StoreIdentity(std::span<std::byte> slot, absl::string_view domain,
                   const std::optional<IpIdentity>& identity);

enum class StoredIdentity : uint8_t {
  kEmpty,
  kGood,
  kDropped  // Damaged, another domain's, or not possible.
};
// Believes nothing whose check value is wrong, and nothing that IdentityFrom
// would not have made (S7). An identity that is over is kEmpty.
StoredIdentity LoadIdentity(std::span<const std::byte> slot,
                            absl::string_view domain, uint64_t now_ns,
                            IpIdentity& out);

}  // namespace bulkhead::nic_router::dhcp

#endif  // BULKHEAD_NIC_ROUTER_DHCP_IP_IDENTITY_H_
