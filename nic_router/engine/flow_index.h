// From a packet's key to its flow: an open-addressing table of 8-byte slots,
// sized once. Each flow is in it twice, once a direction.
//
// Linear probing; erasing moves later entries back, so that there are no
// tombstones to collect. At most half full, so that a probe ends soon. The
// kernel zeroes a page of it when it is first used, so that an empty index
// costs a starting router nothing.
#ifndef BULKHEAD_NIC_ROUTER_ENGINE_FLOW_INDEX_H_
#define BULKHEAD_NIC_ROUTER_ENGINE_FLOW_INDEX_H_

#include <bit>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

#include "packet_stream/prefetch.h"

namespace bulkhead::nic_router {

// A flow's number and a direction, in one word.
struct FlowRef {
  uint32_t value = kNone;
  static constexpr uint32_t kNone = 0xffffffff;
  static FlowRef Of(uint32_t flow, uint32_t direction) {
    return {flow << 1 | direction};
  }
  explicit operator bool() const { return value != kNone; }
  uint32_t flow() const { return value >> 1; }
  uint32_t direction() const { return value & 1; }
};

class FlowIndex {
 public:
  explicit FlowIndex(uint32_t max_flows)
      : mask_(std::bit_ceil(std::uint64_t{max_flows} * 4) - 1),
        slots_(Zeroed(mask_ + 1)) {}

  void Prefetch(uint64_t hash) const {
    packet_stream::PrefetchForRead(&slots_[hash & mask_]);
  }
  // The flow that lies where this hash leads, not compared yet: to prefetch.
  FlowRef Guess(uint64_t hash) const {
    const Slot& slot = slots_[hash & mask_];
    return {slot.tag == TagOf(hash) ? slot.reference - 1 : FlowRef::kNone};
  }

  // `same(FlowRef)` compares keys.
  template <typename Same>
  FlowRef Find(uint64_t hash, Same same) const {
    const uint32_t tag = TagOf(hash);
    for (uint64_t at = hash & mask_;; at = (at + 1) & mask_) {
      const Slot slot = slots_[at];
      if (slot.reference == 0) return {};
      if (slot.tag == tag && same(FlowRef{slot.reference - 1})) {
        return {slot.reference - 1};
      }
    }
  }
  // Requires: room; the key is not in it.
  void Insert(uint64_t hash, FlowRef reference) {
    uint64_t at = hash & mask_;
    while (slots_[at].reference != 0) at = (at + 1) & mask_;
    slots_[at] = {TagOf(hash), reference.value + 1};
    ++size_;
  }
  // `hash_of(FlowRef)` is what an entry was inserted with.
  template <typename HashOf>
  void Erase(uint64_t hash, FlowRef reference, HashOf hash_of) {
    uint64_t at = hash & mask_;
    while (slots_[at].reference != reference.value + 1) {
      if (slots_[at].reference == 0) return;
      at = (at + 1) & mask_;
    }
    // Whatever lies behind and may lie here comes here.
    for (uint64_t next = (at + 1) & mask_; slots_[next].reference != 0;
         next = (next + 1) & mask_) {
      const uint64_t home =
          hash_of(FlowRef{slots_[next].reference - 1}) & mask_;
      if (((next - home) & mask_) < ((next - at) & mask_)) continue;
      slots_[at] = slots_[next];
      at = next;
    }
    slots_[at] = {};
    --size_;
  }
  void Clear() {
    if (size_ == 0) return;
    for (uint64_t i = 0; i <= mask_; ++i) slots_[i] = {};
    size_ = 0;
  }

 private:
  struct Slot {
    uint32_t tag;
    uint32_t reference;  // FlowRef::value + 1; 0: empty.
  };
  struct Free {
    void operator()(Slot* slots) const { std::free(slots); }
  };
  static Slot* Zeroed(uint64_t slots) {
    void* const memory = std::calloc(slots, sizeof(Slot));
    if (memory == nullptr) throw std::bad_alloc();  // As `new` does.
    return static_cast<Slot*>(memory);
  }
  static uint32_t TagOf(uint64_t hash) {
    return static_cast<uint32_t>(hash >> 32);
  }

  uint64_t mask_;
  std::unique_ptr<Slot[], Free> slots_;
  uint64_t size_ = 0;
};

}  // namespace bulkhead::nic_router

#endif  // BULKHEAD_NIC_ROUTER_ENGINE_FLOW_INDEX_H_
