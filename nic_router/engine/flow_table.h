// Every link through the router: found by key, freed when idle, bounded.
//
// The entries lie in state memory (state_memory.h), index and free list in the
// router's own. Low entries are taken first, and those beyond the highest one
// ever taken are not touched, so that a restart reads as much as was used. Idle
// links are found by a wheel of one-second spokes: using a link only notes the
// time; when its spoke comes, it is freed or moved to the spoke where it would
// be due now.
#ifndef BULKHEAD_NIC_ROUTER_ENGINE_FLOW_TABLE_H_
#define BULKHEAD_NIC_ROUTER_ENGINE_FLOW_TABLE_H_

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "nic_router/config.h"
#include "nic_router/engine/flow_index.h"
#include "nic_router/engine/state_memory.h"
#include "nic_router/packet/ipv4.h"

namespace bulkhead::nic_router {

constexpr uint16_t kNoAttachment = 0xffff;
constexpr uint16_t kNoDomain = 0xffff;
constexpr uint16_t kNoRule = 0xffff;
constexpr uint32_t kNoNeighbour = 0xffffffff;

// A key of either version, as made from a frame.
struct PacketKey {
  FlowKey key;
  const Ipv6Address* source6 = nullptr;  // With version 6.
  const Ipv6Address* destination6 = nullptr;
};

class FlowTable {
 public:
  // `entries` and `used` are in state memory. The first `used` entries may be
  // in use and are not believed: each is adopted or discarded, before anything
  // else.
  FlowTable(std::span<Flow> entries, uint32_t& used, uint64_t seed,
            uint64_t now_ms);

  uint64_t Hash(const PacketKey& packet) const;
  void Prefetch(uint64_t hash) const { index_.Prefetch(hash); }
  void PrefetchFlow(uint64_t hash) const {
    const FlowRef guess = index_.Guess(hash);
    if (guess) packet_stream::PrefetchForWrite(&entries_[guess.flow()]);
  }
  FlowRef Find(const PacketKey& packet, uint64_t hash) const;

  Flow& operator[](uint32_t flow) { return entries_[flow]; }
  const Flow& operator[](uint32_t flow) const { return entries_[flow]; }
  uint32_t capacity() const { return static_cast<uint32_t>(entries_.size()); }
  // Entries from here on are free, whatever lies in them.
  uint32_t end() const { return end_; }
  uint32_t size() const { return size_; }
  bool full() const { return size_ == entries_.size(); }

  // Requires: !full(), neither key is in the table. Takes an entry, copies
  // `flow` to it (check value and wheel are filled in), and returns its number.
  uint32_t Insert(const Flow& flow, uint64_t now_ms);
  void Erase(uint32_t flow);

  // The check value that this entry should have.
  uint64_t CheckOf(const Flow& flow) const;

  // --- taking over what lies in memory already ---
  // Empties index, free list and wheel; entries stay as they are. Then each
  // entry below end(), from the last one down, is either adopted or discarded.
  void StartAdoption();
  // False: another that was adopted has one of its keys; it is discarded then.
  bool Adopt(uint32_t flow, uint64_t now_ms);
  // The last one lowers end().
  void Discard(uint32_t flow);

  // --- time ---
  void set_timeouts(const Timeouts& timeouts);
  uint32_t TimeoutS(const Flow& flow) const;
  // Calls freed(number) for each link that has been idle too long, before it is
  // erased.
  template <typename Freed>
  void Expire(uint64_t now_ms, Freed freed) {
    const uint64_t now_s = now_ms / 1000;
    if (now_s - swept_s_ > kSpokes) swept_s_ = now_s - kSpokes;
    while (swept_s_ < now_s) {
      ++swept_s_;
      uint32_t at = spokes_[swept_s_ % kSpokes];
      spokes_[swept_s_ % kSpokes] = kEnd;
      while (at != kEnd) {
        const uint32_t next = entries_[at].wheel_next;
        entries_[at].wheel_previous = kUnlinked;
        if (IdleMs(entries_[at], now_ms) >=
            uint64_t{TimeoutS(entries_[at])} * 1000) {
          freed(at);
          Erase(at);
        } else {
          Link(at);
        }
        at = next;
      }
    }
  }
  // The second in which Expire has something to look at next; 0: never.
  uint64_t NextDueS() const;
  static uint64_t IdleMs(const Flow& flow, uint64_t now_ms) {
    return now_ms > flow.last_seen_ms ? now_ms - flow.last_seen_ms : 0;
  }
  // A link whose timeout became shorter is due earlier.
  void Reschedule(uint32_t flow);

  // The link that is best spared among the next few, or capacity(): see
  // emergency freeing in engine. `worth(flow)`: lower is freed first; a value
  // of kKeep is not.
  static constexpr uint64_t kKeep = ~uint64_t{0};
  template <typename Worth>
  uint32_t Spare(Worth worth) {
    uint32_t best = capacity();
    uint64_t least = kKeep;
    for (uint32_t i = 0; i < kLookedAt && i < capacity(); ++i) {
      hand_ = hand_ + 1 < capacity() ? hand_ + 1 : 0;
      const Flow& flow = entries_[hand_];
      if (flow.state == FlowState::kFree) continue;
      const uint64_t value = worth(flow);
      if (value < least) {
        least = value;
        best = hand_;
      }
    }
    return best;
  }

 private:
  static constexpr uint32_t kEnd = 0xffffffff;
  static constexpr uint32_t kSpokes = 512;
  static constexpr uint32_t kLookedAt = 64;

  PacketKey KeyOf(FlowRef reference) const;
  uint32_t Take();
  void SetEnd(uint32_t end);
  void Link(uint32_t flow);
  void Unlink(uint32_t flow);

  static constexpr uint32_t kUnlinked = 0xfffffffe;
  // wheel_previous of the first of a spoke: its number.
  static constexpr uint32_t kSpokeBit = 0x80000000;

  std::span<Flow> entries_;
  uint32_t* used_;  // end_, for the next router.
  uint32_t end_;
  uint64_t seed_;
  uint64_t swept_s_;  // Spokes up to this second were looked at.
  FlowIndex index_;
  std::vector<uint32_t> free_;  // Below end_.
  uint32_t size_ = 0;
  uint32_t hand_ = 0;
  std::array<uint32_t, kSpokes> spokes_;
  Timeouts timeouts_;
};

}  // namespace bulkhead::nic_router

#endif  // BULKHEAD_NIC_ROUTER_ENGINE_FLOW_TABLE_H_
