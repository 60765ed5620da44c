// The part of the lease memory that keeps what the router itself has leased: a
// slot for each domain without `interface`, found again by the domain's name.
#ifndef BULKHEAD_NIC_ROUTER_PROTOCOLS_IDENTITY_SLOTS_H_
#define BULKHEAD_NIC_ROUTER_PROTOCOLS_IDENTITY_SLOTS_H_

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "nic_router/dhcp/ip_identity.h"

namespace bulkhead::nic_router {

class IdentitySlots {
 public:
  static constexpr size_t kSlotBytes = 128;
  static_assert(kSlotBytes >= sizeof(dhcp::IdentityEntry));

  explicit IdentitySlots(std::span<std::byte> region);

  // The slot that this domain had before, or else one that holds nothing of
  // another domain of `all`. Empty when there is none left: the identity then
  // does not outlive the router.
  std::span<std::byte> SlotOf(const std::string& domain,
                              const std::vector<std::string>& all,
                              uint64_t now_ns);

 private:
  bool Holds(size_t slot, const std::string& domain, uint64_t now_ns) const;

  std::span<std::byte> region_;
  std::vector<std::string> owners_;  // By slot; empty: nobody.
};

}  // namespace bulkhead::nic_router

#endif  // BULKHEAD_NIC_ROUTER_PROTOCOLS_IDENTITY_SLOTS_H_
