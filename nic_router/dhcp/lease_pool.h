// The addresses of one DHCP server: which client has which, and until when.
//
// An address is never anybody else's while it is offered, bound or declined. A
// client is a MAC that its session vouches for, and holds at most one address
// and one declined one, so that no client can empty the range (REFERENCE 8,
// attack 25): what it takes beyond that it takes from itself.
//
// Guarantees: nothing allocates after the constructor; a call is a hash
// look-up, but for Expire and for the first offers of a range that is full of
// formers, which pass over it once. Threading: one thread. `now_ns` never goes
// back.
#ifndef BULKHEAD_NIC_ROUTER_DHCP_LEASE_POOL_H_
#define BULKHEAD_NIC_ROUTER_DHCP_LEASE_POOL_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/strings/string_view.h"
#include "nic_router/config.h"
#include "nic_router/dhcp/lease_memory.h"
#include "nic_router/dhcp/message.h"

namespace bulkhead::nic_router::dhcp {

// A range beyond this is cut.
constexpr uint32_t kMaxRange = 65536;

class LeasePool {
 public:
  struct Settings {
    uint32_t domain = 0;  // DomainTag.
    Ipv4Address first = 0;
    Ipv4Address last = 0;      // Not below `first`.
    Ipv4Address reserved = 0;  // The router's own, never given away.
    uint64_t longest_ns = 0;   // No lease is believed to last longer.
  };

  // Takes over those of the domain's entries in `memory` that agree with
  // `settings`, and frees the others. `memory` outlives it.
  LeasePool(const Settings& settings, LeaseMemory& memory, uint64_t now_ns);

  // Entries of this domain that did not agree.
  uint32_t dropped() const { return dropped_; }

  bool InRange(Ipv4Address address) const {
    return address >= settings_.first && address - settings_.first < size_ &&
           address != settings_.reserved;
  }
  // Anything that could expire.
  bool any() const { return entries_ != formers_; }
  // What this client has or had: offered, bound or former.
  const LeaseEntry* Find(const MacAddress& mac) const;

  // An address for this client, in this order: its own or former one, `wanted`
  // when nobody has or had it, one that nobody had, the one whose lease ended
  // first. None when all are in use. Makes it kOffered until then, unless it is
  // bound already.
  std::optional<Ipv4Address> Offer(const MacAddress& mac,
                                   std::optional<Ipv4Address> wanted,
                                   uint64_t until_ns, uint64_t now_ns);
  // The client has `address` until then. False: it is somebody else's.
  bool Bind(const MacAddress& mac, Ipv4Address address, uint64_t until_ns);
  // The client gives its address back, when that is `address`.
  bool Release(const MacAddress& mac, Ipv4Address address, uint64_t now_ns);
  // Somebody uses `address`, says the client that it was given to. Nobody gets
  // it until then; the one that the client declined before is free again.
  bool Decline(const MacAddress& mac, Ipv4Address address, uint64_t until_ns);
  // Ends what is over.
  void Expire(uint64_t now_ns);

  // Calls visit(const LeaseEntry&) in the order of addresses.
  template <typename Visit>
  void ForEach(Visit visit) const {
    for (const uint32_t number : numbers_) {
      if (number != kNone) visit(memory_.at(number));
    }
  }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;

  bool Agrees(const LeaseEntry& entry, uint64_t now_ns) const;
  // Offset of an entry of this client: a declined one, or any other.
  uint32_t FindOffset(const MacAddress& mac, bool declined) const;
  bool IsFree(Ipv4Address address) const;
  std::optional<Ipv4Address> FirstFree() const;
  std::optional<Ipv4Address> OldestFormer() const;
  bool Assign(Ipv4Address address, const MacAddress& mac, LeaseState state,
              uint64_t expires_ns);
  void SetState(uint32_t offset, LeaseState state, uint64_t expires_ns);
  void Free(uint32_t offset);

  // Clients by MAC: chains of offsets, rebuilt never, since every entry is
  // linked when it is assigned and unlinked when it is freed.
  uint32_t BucketOf(const MacAddress& mac) const;
  void Link(uint32_t offset);
  void Unlink(uint32_t offset);

  Settings settings_;
  uint32_t size_;
  LeaseMemory& memory_;
  std::vector<uint32_t> numbers_;  // By offset in the range; kNone: nobody's.
  std::vector<uint64_t> used_;     // A bit for each offset that has an entry.
  std::vector<uint32_t> buckets_;  // First offset of each chain.
  std::vector<uint32_t> next_;     // By offset.
  uint32_t entries_ = 0;
  uint32_t formers_ = 0;
  uint32_t dropped_ = 0;
};

}  // namespace bulkhead::nic_router::dhcp

#endif  // BULKHEAD_NIC_ROUTER_DHCP_LEASE_POOL_H_
