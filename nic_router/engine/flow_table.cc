#include "nic_router/engine/flow_table.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>

#include "nic_router/engine/hash.h"

namespace bulkhead::nic_router {
namespace {

struct KeyWords {
  uint64_t first;
  uint64_t second;
};
// As they lie in memory (on a little-endian machine), but put together here: a
// key that was just written would have to go through memory first.
static_assert(std::endian::native == std::endian::little);
KeyWords WordsOf(const FlowKey& key) {
  return {.first = uint64_t{key.destination} << 32 | key.source,
          .second = uint64_t{key.domain} << 48 | uint64_t{key.version} << 40 |
                    uint64_t{key.protocol} << 32 |
                    uint64_t{key.destination_port} << 16 | key.source_port};
}

}  // namespace

FlowTable::FlowTable(std::span<Flow> entries, uint32_t& used, uint64_t seed,
                     uint64_t now_ms)
    : entries_(entries),
      used_(&used),
      end_(std::min(used, static_cast<uint32_t>(entries.size()))),
      seed_(seed),
      swept_s_(now_ms / 1000),
      index_(static_cast<uint32_t>(entries.size())) {
  free_.reserve(entries.size());
  StartAdoption();
}

uint64_t FlowTable::Hash(const PacketKey& packet) const {
  const KeyWords words = WordsOf(packet.key);
  uint64_t hash = MixWords(words.first ^ seed_ ^ 0x2d358dccaa6c78a5,
                           words.second ^ (seed_ >> 7 | 0x8bb84b93962eacc9));
  if (packet.key.version == 6) [[unlikely]] {
    Hasher hasher(hash ^ seed_);
    hasher.AddBytes(packet.source6->data(), 16);
    hasher.AddBytes(packet.destination6->data(), 16);
    hash = hasher.value();
  }
  return hash;
}

FlowRef FlowTable::Find(const PacketKey& packet, uint64_t hash) const {
  return index_.Find(hash, [this, &packet](FlowRef reference) {
    const Flow& flow = entries_[reference.flow()];
    const uint32_t direction = reference.direction();
    if (flow.key[direction] != packet.key) return false;
    if (packet.key.version == 4) [[likely]]
      return true;
    const Ipv6Address& from = direction == 0 ? flow.source6 : flow.destination6;
    const Ipv6Address& to = direction == 0 ? flow.destination6 : flow.source6;
    return from == *packet.source6 && to == *packet.destination6;
  });
}

PacketKey FlowTable::KeyOf(FlowRef reference) const {
  const Flow& flow = entries_[reference.flow()];
  const bool forth = reference.direction() == 0;
  return {.key = flow.key[reference.direction()],
          .source6 = forth ? &flow.source6 : &flow.destination6,
          .destination6 = forth ? &flow.destination6 : &flow.source6};
}

uint32_t FlowTable::Take() {
  if (free_.empty()) {
    SetEnd(end_ + 1);
    return end_ - 1;
  }
  const uint32_t number = free_.back();
  free_.pop_back();
  return number;
}

// Before an entry beyond it is written, and after one below it was erased: the
// next router looks at every entry that holds.
void FlowTable::SetEnd(uint32_t end) {
  end_ = end;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  *used_ = end;
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

uint32_t FlowTable::Insert(const Flow& flow, uint64_t now_ms) {
  const uint32_t number = Take();
  Flow& entry = entries_[number];
  // The check value last: until then the entry is nobody's.
  entry.check = 0;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  const uint64_t check = CheckOf(flow);
  std::memcpy(static_cast<void*>(&entry), &flow, sizeof(flow));
  entry.check = 0;
  entry.last_seen_ms = now_ms;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  entry.check = check;
  for (uint32_t direction = 0; direction < 2; ++direction) {
    const FlowRef reference = FlowRef::Of(number, direction);
    index_.Insert(Hash(KeyOf(reference)), reference);
  }
  ++size_;
  entry.wheel_previous = kUnlinked;
  Link(number);
  return number;
}

void FlowTable::Erase(uint32_t number) {
  Flow& entry = entries_[number];
  entry.check = 0;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  Unlink(number);
  for (uint32_t direction = 0; direction < 2; ++direction) {
    const FlowRef reference = FlowRef::Of(number, direction);
    index_.Erase(Hash(KeyOf(reference)), reference,
                 [this](FlowRef each) { return Hash(KeyOf(each)); });
  }
  entry.state = FlowState::kFree;
  free_.push_back(number);
  --size_;
}

uint64_t FlowTable::CheckOf(const Flow& flow) const {
  Hasher hasher(seed_);
  for (FlowKey key : flow.key) {
    key.domain = 0;
    const KeyWords words = WordsOf(key);
    hasher.Add(words.first);
    hasher.Add(words.second);
  }
  hasher.Add(uint64_t{flow.domain_hash[0]} << 32 | flow.domain_hash[1]);
  hasher.Add(flow.client_id);
  hasher.Add(flow.flags & (kFlowTranslated | kFlowForwarded));
  hasher.AddBytes(flow.source6.data(), 16);
  hasher.AddBytes(flow.destination6.data(), 16);
  return hasher.value() | 1;  // 0 is an entry that does not hold.
}

void FlowTable::StartAdoption() {
  index_.Clear();
  free_.clear();
  size_ = 0;
  hand_ = 0;
  spokes_.fill(kEnd);
}

bool FlowTable::Adopt(uint32_t number, uint64_t now_ms) {
  Flow& entry = entries_[number];
  uint64_t hash[2];
  for (uint32_t direction = 0; direction < 2; ++direction) {
    const PacketKey key = KeyOf(FlowRef::Of(number, direction));
    hash[direction] = Hash(key);
    if (Find(key, hash[direction])) {
      Discard(number);
      return false;
    }
  }
  if (entry.key[0] == entry.key[1] &&
      (entry.key[0].version == 4 || entry.source6 == entry.destination6)) {
    Discard(number);
    return false;
  }
  for (uint32_t direction = 0; direction < 2; ++direction) {
    index_.Insert(hash[direction], FlowRef::Of(number, direction));
  }
  ++size_;
  entry.last_seen_ms = std::min(entry.last_seen_ms, now_ms);
  entry.neighbour[0] = entry.neighbour[1] = kNoNeighbour;
  entry.wheel_previous = kUnlinked;
  Link(number);
  return true;
}

void FlowTable::Discard(uint32_t number) {
  Flow& entry = entries_[number];
  entry.check = 0;
  entry.state = FlowState::kFree;
  entry.wheel_previous = kUnlinked;
  if (number + 1 == end_) {
    SetEnd(number);
  } else {
    free_.push_back(number);
  }
}

void FlowTable::set_timeouts(const Timeouts& timeouts) { timeouts_ = timeouts; }

uint32_t FlowTable::TimeoutS(const Flow& flow) const {
  if (flow.key[0].protocol == kProtocolTcp) {
    switch (flow.state) {
      case FlowState::kOpening:
      case FlowState::kReset:
        return timeouts_.tcp_closing_s;
      case FlowState::kClosing:  // Data may still flow the other way.
        return std::max(timeouts_.tcp_idle_s, 2 * timeouts_.tcp_closing_s);
      case FlowState::kClosed:
        return 2 * timeouts_.tcp_closing_s;
      default:
        return timeouts_.tcp_idle_s;
    }
  }
  return flow.key[0].protocol == kProtocolIcmp ||
                 flow.key[0].protocol == kProtocolIcmp6
             ? timeouts_.icmp_idle_s
             : timeouts_.udp_idle_s;
}

uint64_t FlowTable::NextDueS() const {
  if (size_ == 0) return 0;
  for (uint64_t second = swept_s_ + 1; second <= swept_s_ + kSpokes; ++second) {
    if (spokes_[second % kSpokes] != kEnd) return second;
  }
  return 0;
}

void FlowTable::Reschedule(uint32_t flow) {
  Unlink(flow);
  Link(flow);
}

void FlowTable::Link(uint32_t number) {
  Flow& entry = entries_[number];
  const uint64_t due_s = entry.last_seen_ms / 1000 + TimeoutS(entry) + 1;
  const uint64_t spoke_s =
      std::clamp(due_s, swept_s_ + 1, swept_s_ + kSpokes - 1);
  const auto spoke = static_cast<uint32_t>(spoke_s % kSpokes);
  entry.wheel_next = spokes_[spoke];
  entry.wheel_previous = kSpokeBit | spoke;
  if (entry.wheel_next != kEnd) {
    entries_[entry.wheel_next].wheel_previous = number;
  }
  spokes_[spoke] = number;
}

void FlowTable::Unlink(uint32_t number) {
  Flow& entry = entries_[number];
  const uint32_t previous = entry.wheel_previous;
  if (previous == kUnlinked) return;
  if ((previous & kSpokeBit) != 0) {
    spokes_[previous & ~kSpokeBit] = entry.wheel_next;
  } else {
    entries_[previous].wheel_next = entry.wheel_next;
  }
  if (entry.wheel_next != kEnd) {
    entries_[entry.wheel_next].wheel_previous = previous;
  }
  entry.wheel_previous = kUnlinked;
}

}  // namespace bulkhead::nic_router
