// The leases of all DHCP servers of a router, in memory that outlives it.
//
// Guarantees: an entry is written through to the region before the answer that
// promises it leaves; Take and Put allocate nothing; a region of any contents
// is read without believing an entry whose check value is wrong (S7).
// Threading: one thread.
#ifndef BULKHEAD_NIC_ROUTER_DHCP_LEASE_MEMORY_H_
#define BULKHEAD_NIC_ROUTER_DHCP_LEASE_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "nic_router/dhcp/lease_entry.h"

namespace bulkhead::nic_router::dhcp {

class LeaseMemory {
 public:
  // Requires: `region` is aligned for LeaseEntry and stays; as many entries as
  // fit into it. What it holds is checked here, once.
  explicit LeaseMemory(std::span<std::byte> region);
  LeaseMemory(const LeaseMemory&) = delete;
  LeaseMemory& operator=(const LeaseMemory&) = delete;

  uint32_t capacity() const { return static_cast<uint32_t>(entries_.size()); }
  // Entries that were neither empty nor right when the region was read.
  uint32_t dropped() const { return dropped_; }

  // An unused entry's number, or none.
  std::optional<uint32_t> Take();
  const LeaseEntry& at(uint32_t number) const { return entries_[number]; }
  // Frees what belongs to no domain of these (DomainTag).
  void Keep(std::span<const uint32_t> domains);
  // Changes an entry; one with kFree can be taken again.
  void Put(uint32_t number, const LeaseEntry& entry);

 private:
  void Write(uint32_t number);

  std::span<std::byte> region_;
  std::vector<LeaseEntry> entries_;  // What is believed; the region is a copy.
  std::vector<uint32_t> free_;
  uint32_t dropped_ = 0;
};

}  // namespace bulkhead::nic_router::dhcp

#endif  // BULKHEAD_NIC_ROUTER_DHCP_LEASE_MEMORY_H_
