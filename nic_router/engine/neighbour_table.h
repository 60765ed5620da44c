// Who has which address: the ARP cache, IPv6's neighbours, and which client an
// address belongs to. The entries lie in state memory.
//
// Bounded: eight places for each hash. An entry without a MAC makes room first,
// then the one that was not confirmed for longest; one without a MAC is never
// made at the cost of one that has it.
#ifndef BULKHEAD_NIC_ROUTER_ENGINE_NEIGHBOUR_TABLE_H_
#define BULKHEAD_NIC_ROUTER_ENGINE_NEIGHBOUR_TABLE_H_

#include <cstdint>
#include <cstring>
#include <span>

#include "nic_router/engine/flow_table.h"
#include "nic_router/engine/state_memory.h"

namespace bulkhead::nic_router {

enum class NeighbourState : uint8_t {
  kFree = 0,
  kAsked = 1,  // No answer yet.
  kKnown = 2,
};

// An IPv4 or IPv6 address in one form. Written and compared by words: parts of
// other sizes would wait for each other in memory.
inline Ipv6Address AddressOf(Ipv4Address address) {
  const uint64_t words[2] = {address, 0};
  Ipv6Address out;
  std::memcpy(out.data(), words, sizeof(words));
  return out;
}
inline bool SameAddress(const Ipv6Address& a, const Ipv6Address& b) {
  uint64_t left[2], right[2];
  std::memcpy(left, a.data(), sizeof(left));
  std::memcpy(right, b.data(), sizeof(right));
  return ((left[0] ^ right[0]) | (left[1] ^ right[1])) == 0;
}
Ipv4Address Ipv4Of(const Ipv6Address& address);

class NeighbourTable {
 public:
  // Asked anew when used after so long,
  static constexpr uint64_t kFreshMs = 60'000;
  // and not believed after so long.
  static constexpr uint64_t kStaleMs = 300'000;

  NeighbourTable(std::span<Neighbour> entries, uint64_t seed)
      : entries_(entries), seed_(seed) {}

  // Numbers of entries, or kNoNeighbour.
  uint32_t Find(uint32_t domain_hash, uint8_t version,
                const Ipv6Address& address) const;
  Neighbour& operator[](uint32_t number) { return entries_[number]; }
  const Neighbour& operator[](uint32_t number) const {
    return entries_[number];
  }
  std::span<Neighbour> entries() { return entries_; }
  std::span<const Neighbour> entries() const { return entries_; }

  bool Is(uint32_t number, uint32_t domain_hash, uint8_t version,
          const Ipv6Address& address) const {
    const Neighbour& entry = entries_[number];
    return entry.version == version && entry.domain_hash == domain_hash &&
           SameAddress(entry.address, address);
  }
  // Without a MAC, to be asked for. kNoNeighbour: no room.
  uint32_t AddAsked(uint16_t domain, uint32_t domain_hash, uint8_t version,
                    const Ipv6Address& address);
  // Adds it, or renews it. kNoNeighbour: no room.
  uint32_t Learn(uint16_t domain, uint32_t domain_hash, uint8_t version,
                 const Ipv6Address& address, const MacAddress& mac,
                 uint16_t attachment, uint64_t owner_id, uint64_t now_ms);
  void Erase(uint32_t number);
  uint64_t CheckOf(const Neighbour& entry) const;
  bool Holds(const Neighbour& entry) const {
    return entry.check != 0 && entry.check == CheckOf(entry);
  }

 private:
  static constexpr uint32_t kWays = 8;
  uint32_t SetOf(uint32_t domain_hash, uint8_t version,
                 const Ipv6Address& address) const;
  uint32_t Place(uint32_t domain_hash, uint8_t version,
                 const Ipv6Address& address, bool known);

  std::span<Neighbour> entries_;
  uint64_t seed_;
};

}  // namespace bulkhead::nic_router

#endif  // BULKHEAD_NIC_ROUTER_ENGINE_NEIGHBOUR_TABLE_H_
