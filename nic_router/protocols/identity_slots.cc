#include "nic_router/protocols/identity_slots.h"

#include <algorithm>

namespace bulkhead::nic_router {

IdentitySlots::IdentitySlots(std::span<std::byte> region)
    : region_(region), owners_(region.size() / kSlotBytes) {}

bool IdentitySlots::Holds(size_t slot, const std::string& domain,
                          uint64_t now_ns) const {
  dhcp::IpIdentity ignored;
  return dhcp::LoadIdentity(region_.subspan(slot * kSlotBytes, kSlotBytes),
                            domain, now_ns,
                            ignored) == dhcp::StoredIdentity::kGood;
}

std::span<std::byte> IdentitySlots::SlotOf(const std::string& domain,
                                           const std::vector<std::string>& all,
                                           uint64_t now_ns) {
  const auto is_gone = [&all](const std::string& owner) {
    return std::find(all.begin(), all.end(), owner) == all.end();
  };
  size_t free = owners_.size();
  for (size_t slot = 0; slot < owners_.size(); ++slot) {
    if (owners_[slot] == domain ||
        (owners_[slot].empty() && Holds(slot, domain, now_ns))) {
      owners_[slot] = domain;
      return region_.subspan(slot * kSlotBytes, kSlotBytes);
    }
    if (free != owners_.size()) continue;
    const bool others =
        std::any_of(all.begin(), all.end(), [&](const std::string& other) {
          return other != domain && Holds(slot, other, now_ns);
        });
    const bool unused = owners_[slot].empty() || is_gone(owners_[slot]);
    if (unused && !others) free = slot;
  }
  if (free == owners_.size()) return {};
  owners_[free] = domain;
  return region_.subspan(free * kSlotBytes, kSlotBytes);
}

}  // namespace bulkhead::nic_router
