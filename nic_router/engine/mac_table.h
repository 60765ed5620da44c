// Where MACs were last seen: the switch of the domains that have an uplink.
//
// Bounded: eight places for each hash, the one that was silent longest makes
// room. A flood of invented MACs so costs others at most a flooded frame.
#ifndef BULKHEAD_NIC_ROUTER_ENGINE_MAC_TABLE_H_
#define BULKHEAD_NIC_ROUTER_ENGINE_MAC_TABLE_H_

#include <array>
#include <cstdint>
#include <memory>

#include "nic_router/config.h"
#include "nic_router/engine/flow_table.h"
#include "nic_router/engine/hash.h"

namespace bulkhead::nic_router {

class MacTable {
 public:
  static constexpr uint32_t kEntries = 8192;
  static constexpr uint32_t kAgeingS = 300;  // IEEE 802.1D's default.

  explicit MacTable(uint64_t seed)
      : seed_(seed), sets_(std::make_unique<Set[]>(kEntries / kWays)) {}

  void Learn(uint16_t domain, const MacAddress& mac, uint16_t attachment,
             uint32_t now_s) {
    const uint64_t key = KeyOf(domain, mac);
    Set& set = SetOf(key);
    Entry* oldest = &set[0];
    for (Entry& entry : set) {
      if (entry.key == key) {
        entry.attachment = attachment;
        entry.seen_s = now_s;
        return;
      }
      if (entry.seen_s < oldest->seen_s) oldest = &entry;
    }
    *oldest = {key, now_s, attachment};
  }
  // Or kNoAttachment.
  uint16_t Find(uint16_t domain, const MacAddress& mac, uint32_t now_s) const {
    const uint64_t key = KeyOf(domain, mac);
    for (const Entry& entry : SetOf(key)) {
      if (entry.key == key && now_s - entry.seen_s < kAgeingS) {
        return entry.attachment;
      }
    }
    return kNoAttachment;
  }
  void Forget(uint16_t attachment) {
    for (uint32_t i = 0; i < kEntries / kWays; ++i) {
      for (Entry& entry : sets_[i]) {
        if (entry.attachment == attachment) entry = {};
      }
    }
  }
  void Clear() {
    for (uint32_t i = 0; i < kEntries / kWays; ++i) sets_[i] = {};
  }

 private:
  static constexpr uint32_t kWays = 8;
  struct Entry {
    uint64_t key = 0;  // 0: free. No unicast MAC in use makes it.
    uint32_t seen_s = 0;
    uint16_t attachment = kNoAttachment;
  };
  using Set = std::array<Entry, kWays>;

  static uint64_t KeyOf(uint16_t domain, const MacAddress& mac) {
    return (uint64_t{domain} << 48 | MacWord(mac)) + 1;
  }
  Set& SetOf(uint64_t key) const {
    return sets_[MixWords(key ^ seed_, 0x9e3779b97f4a7c15) %
                 (kEntries / kWays)];
  }

  uint64_t seed_;
  std::unique_ptr<Set[]> sets_;
};

}  // namespace bulkhead::nic_router

#endif  // BULKHEAD_NIC_ROUTER_ENGINE_MAC_TABLE_H_
