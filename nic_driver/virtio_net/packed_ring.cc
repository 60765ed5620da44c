// The packed virtqueue: Virtio 1.2, section 2.8.
#include <algorithm>
#include <atomic>
#include <vector>

#include "nic_driver/virtio_net/shared_word.h"
#include "nic_driver/virtio_net/virtqueue.h"

namespace bulkhead::nic_driver::virtio_net {
namespace {

// 2.8.1, 2.8.10.
constexpr uint16_t NEXT = 1;
constexpr uint16_t WRITE = 2;
constexpr uint16_t AVAIL = 1 << 7;
constexpr uint16_t USED = 1 << 15;
constexpr uint16_t EVENT_ENABLE = 0;
constexpr uint16_t EVENT_DISABLE = 1;
constexpr uint16_t EVENT_DESCRIPTOR = 2;
constexpr uint16_t WRAP = 1 << 15;

struct Descriptor {
  uint64_t addr;
  uint32_t len;
  uint16_t id;
  uint16_t flags;
};
static_assert(sizeof(Descriptor) == 16);

// A place in the ring, and how often it was passed: odd or even.
struct Place {
  uint16_t index = 0;
  bool wrap = true;
};

class PackedRing final : public Virtqueue {
 public:
  PackedRing(const DmaMemory& memory, size_t offset, uint16_t size,
             bool event_idx)
      : memory_(memory),
        offset_(offset),
        event_idx_(event_idx),
        ring_(memory.As<Descriptor>(offset, size)),
        driver_event_(memory.As<uint16_t>(offset + 16u * size, 2)),
        device_event_(memory.As<uint16_t>(offset + 16u * size + 4, 2)),
        in_flight_(size) {
    Forget();
  }

  uint16_t size() const override { return static_cast<uint16_t>(ring_.size()); }
  RingAddresses addresses() const override {
    const uint64_t events = memory_.iova(offset_ + 16u * size());
    return {memory_.iova(offset_), events, events + 4};
  }
  uint16_t room() const override { return free_count_; }
  void Add(std::span<const Segment> segments, uint16_t cookie) override;
  bool Publish() override;
  bool Peek(Completion* completion) override;
  void Pop() override;
  void ArmInterrupt() override;
  void DisarmInterrupt() override;
  void Reset() override;

 private:
  void Forget();
  void Advance(Place* place, uint16_t count) const {
    place->index = static_cast<uint16_t>(place->index + count);
    if (place->index < size()) return;
    place->index = static_cast<uint16_t>(place->index - size());
    place->wrap = !place->wrap;
  }
  static uint16_t Available(Place place) { return place.wrap ? AVAIL : USED; }

  const DmaMemory& memory_;
  const size_t offset_;
  const bool event_idx_;
  // Shared.
  const std::span<Descriptor> ring_;
  const std::span<uint16_t> driver_event_;  // Place and flags; ours.
  const std::span<uint16_t> device_event_;  // The device's.
  // Private. By cookie, which is the buffer's id: its descriptors; 0: none.
  std::vector<uint16_t> in_flight_;
  uint16_t free_count_ = 0;
  Place tail_;                // Next to be written.
  Place published_;           // What the device may have begun with.
  uint16_t first_flags_ = 0;  // Of ring_[published_], held back.
  Place head_;                // Next to be used.
  uint16_t peeked_ = 0;
};

void PackedRing::Forget() {
  std::fill(in_flight_.begin(), in_flight_.end(), 0);
  free_count_ = size();
  tail_ = published_ = head_ = Place{};
}

void PackedRing::Reset() {
  std::fill(ring_.begin(), ring_.end(), Descriptor{});
  std::fill(driver_event_.begin(), driver_event_.end(), 0);
  std::fill(device_event_.begin(), device_event_.end(), 0);
  Forget();
}

void PackedRing::Add(std::span<const Segment> segments, uint16_t cookie) {
  for (size_t i = 0; i < segments.size(); ++i) {
    const bool more = i + 1 < segments.size();
    const auto flags = static_cast<uint16_t>(
        Available(tail_) | (segments[i].device_writes ? WRITE : 0) |
        (more ? NEXT : 0));
    Descriptor& descriptor = ring_[tail_.index];
    descriptor.addr = segments[i].iova;
    descriptor.len = segments[i].bytes;
    descriptor.id = cookie;
    // The first of a batch makes all of it available: Publish writes it.
    if (tail_.index == published_.index && tail_.wrap == published_.wrap) {
      first_flags_ = flags;
    } else {
      std::atomic_ref(descriptor.flags).store(flags, std::memory_order_relaxed);
    }
    Advance(&tail_, 1);
  }
  in_flight_[cookie] = static_cast<uint16_t>(segments.size());
  free_count_ = static_cast<uint16_t>(free_count_ - segments.size());
}

bool PackedRing::Publish() {
  if (tail_.index == published_.index && tail_.wrap == published_.wrap) {
    return false;
  }
  const uint16_t old = published_.index;
  const bool wrapped = published_.wrap != tail_.wrap;
  Store(ring_[published_.index].flags, first_flags_);
  published_ = tail_;
  const uint16_t flags = Load(device_event_[1]);
  if (flags == EVENT_DISABLE) return false;
  if (flags != EVENT_DESCRIPTOR || !event_idx_) return true;
  const uint16_t place = Load(device_event_[0]);
  auto event = static_cast<uint16_t>(place & ~WRAP);
  if (((place & WRAP) != 0) != tail_.wrap) {
    event = static_cast<uint16_t>(event - size());
  }
  return Passes(event, tail_.index,
                static_cast<uint16_t>(wrapped ? old - size() : old));
}

bool PackedRing::Peek(Completion* completion) {
  // As many as can be in flight; each that names nothing takes one place.
  for (uint16_t left = size(); left > 0; --left) {
    Descriptor& descriptor = ring_[head_.index];
    const uint16_t flags = Load(descriptor.flags);
    const uint16_t done = head_.wrap ? AVAIL | USED : 0;
    if (free_count_ == size() || (flags & (AVAIL | USED)) != done) return false;
    const uint16_t id = descriptor.id;
    if (id < size() && in_flight_[id] != 0) {
      peeked_ = id;
      *completion = {id, descriptor.len};
      return true;
    }
    Advance(&head_, 1);
  }
  return false;
}

void PackedRing::Pop() {
  const uint16_t count = std::exchange(in_flight_[peeked_], 0);
  Advance(&head_, count);
  free_count_ = static_cast<uint16_t>(free_count_ + count);
}

void PackedRing::ArmInterrupt() {
  if (!event_idx_) {
    Store(driver_event_[1], EVENT_ENABLE);
    return;
  }
  Store(driver_event_[0],
        static_cast<uint16_t>(head_.index | (head_.wrap ? WRAP : 0)));
  Store(driver_event_[1], EVENT_DESCRIPTOR);
}

void PackedRing::DisarmInterrupt() { Store(driver_event_[1], EVENT_DISABLE); }

}  // namespace

size_t PackedRingBytes(uint16_t size) {
  return (16u * size + 8 + 15) & ~size_t{15};
}

std::unique_ptr<Virtqueue> MakePackedRing(const DmaMemory& memory,
                                          size_t offset, uint16_t size,
                                          bool event_idx) {
  return std::make_unique<PackedRing>(memory, offset, size, event_idx);
}

}  // namespace bulkhead::nic_driver::virtio_net
