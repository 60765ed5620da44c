#include "nic_router/engine/neighbour_table.h"

#include <atomic>
#include <cstring>

#include "nic_router/engine/hash.h"

namespace bulkhead::nic_router {

Ipv4Address Ipv4Of(const Ipv6Address& address) {
  Ipv4Address out;
  std::memcpy(&out, address.data(), sizeof(out));
  return out;
}

uint32_t NeighbourTable::SetOf(uint32_t domain_hash, uint8_t version,
                               const Ipv6Address& address) const {
  Hasher hasher(seed_ ^ version);
  hasher.Add(domain_hash);
  hasher.AddBytes(address.data(), address.size());
  return static_cast<uint32_t>(hasher.value() % (entries_.size() / kWays)) *
         kWays;
}

uint32_t NeighbourTable::Find(uint32_t domain_hash, uint8_t version,
                              const Ipv6Address& address) const {
  const uint32_t set = SetOf(domain_hash, version, address);
  for (uint32_t i = set; i < set + kWays; ++i) {
    if (Is(i, domain_hash, version, address)) return i;
  }
  return kNoNeighbour;
}

uint32_t NeighbourTable::Place(uint32_t domain_hash, uint8_t version,
                               const Ipv6Address& address, bool known) {
  const uint32_t set = SetOf(domain_hash, version, address);
  uint32_t best = kNoNeighbour;
  uint64_t best_rank = ~uint64_t{0};
  for (uint32_t i = set; i < set + kWays; ++i) {
    const Neighbour& entry = entries_[i];
    if (entry.version == 0) return i;
    const bool has_mac =
        entry.state == static_cast<uint8_t>(NeighbourState::kKnown);
    if (has_mac && !known) continue;
    // Any that was only asked for comes before any that is known.
    const uint64_t rank =
        has_mac ? (uint64_t{1} << 63 | entry.updated_ms) : entry.asked_s;
    if (rank < best_rank) {
      best_rank = rank;
      best = i;
    }
  }
  return best;
}

uint32_t NeighbourTable::AddAsked(uint16_t domain, uint32_t domain_hash,
                                  uint8_t version, const Ipv6Address& address) {
  const uint32_t number = Place(domain_hash, version, address, false);
  if (number == kNoNeighbour) return kNoNeighbour;
  Erase(number);
  Neighbour& entry = entries_[number];
  entry.address = address;
  entry.domain_hash = domain_hash;
  entry.domain = domain;
  entry.version = version;
  entry.state = static_cast<uint8_t>(NeighbourState::kAsked);
  entry.attachment = kNoAttachment;
  return number;
}

uint32_t NeighbourTable::Learn(uint16_t domain, uint32_t domain_hash,
                               uint8_t version, const Ipv6Address& address,
                               const MacAddress& mac, uint16_t attachment,
                               uint64_t owner_id, uint64_t now_ms) {
  uint32_t number = Find(domain_hash, version, address);
  if (number == kNoNeighbour) {
    number = Place(domain_hash, version, address, true);
    if (number == kNoNeighbour) return kNoNeighbour;
    Erase(number);
  }
  Neighbour& entry = entries_[number];
  entry.check = 0;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  entry.address = address;
  entry.mac = mac;
  entry.version = version;
  entry.state = static_cast<uint8_t>(NeighbourState::kKnown);
  entry.domain_hash = domain_hash;
  entry.owner_id = owner_id;
  entry.updated_ms = now_ms;
  entry.asked_s = 0;
  entry.domain = domain;
  entry.attachment = attachment;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  entry.check = CheckOf(entry);
  return number;
}

void NeighbourTable::Erase(uint32_t number) {
  Neighbour& entry = entries_[number];
  entry.check = 0;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  entry = {};
  entry.attachment = kNoAttachment;
}

uint64_t NeighbourTable::CheckOf(const Neighbour& entry) const {
  Hasher hasher(seed_ ^ 0x6e65696768);
  hasher.AddBytes(entry.address.data(), entry.address.size());
  hasher.AddBytes(entry.mac.data(), entry.mac.size());
  hasher.Add(uint64_t{entry.version} << 32 | entry.domain_hash);
  hasher.Add(entry.owner_id);
  return hasher.value() | 1;
}

}  // namespace bulkhead::nic_router
