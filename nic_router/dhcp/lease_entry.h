// How a lease lies in the memory that outlives the router: fixed size, fixed
// places, and a check value over all of it.
//
// Written by the router alone, one entry at a time; a router that died in the
// middle leaves an entry whose check value is wrong. The next router believes
// an entry only when the value is right and what it says agrees with the
// configuration (lease_pool.h).
#ifndef BULKHEAD_NIC_ROUTER_DHCP_LEASE_ENTRY_H_
#define BULKHEAD_NIC_ROUTER_DHCP_LEASE_ENTRY_H_

#include <array>
#include <cstdint>
#include <type_traits>

namespace bulkhead::nic_router::dhcp {

enum class LeaseState : uint8_t {
  kFree = 0,     // The entry is unused.
  kOffered = 1,  // Kept for the client until it asks for it, or not.
  kBound = 2,
  kFormer = 3,    // Ended; kept so that the client gets it again.
  kDeclined = 4,  // The client found somebody else there.
};

struct LeaseEntry {
  uint64_t expires_ns = 0;  // CLOCK_MONOTONIC, which outlives processes.
  uint32_t address = 0;
  uint32_t domain = 0;  // DomainTag of its name.
  std::array<uint8_t, 6> mac{};
  LeaseState state = LeaseState::kFree;
  uint8_t reserved = 0;
  uint64_t check = 0;  // CheckValue of the rest.
};
static_assert(sizeof(LeaseEntry) == 32);
static_assert(alignof(LeaseEntry) == 8);
static_assert(std::has_unique_object_representations_v<LeaseEntry>);

}  // namespace bulkhead::nic_router::dhcp

#endif  // BULKHEAD_NIC_ROUTER_DHCP_LEASE_ENTRY_H_
