// The packed virtqueue: Virtio 1.2, section 2.8.
#include "nic_model/virtio_net/layout.h"
#include "nic_model/virtio_net/virtqueue.h"

namespace bulkhead::nic_model::virtio_net {
namespace {

constexpr uint64_t kDescriptorBytes = 16;
// 2.8.10: event suppression.
constexpr uint16_t kEventDisable = 1;
constexpr uint16_t kEventDescriptor = 2;
constexpr uint16_t kWrapBit = 1 << 15;
constexpr uint32_t kTooMany = 4096;  // Test fault length_beyond_buffer.

struct Descriptor {
  uint64_t addr;
  uint32_t len;
  uint16_t id;
  uint16_t flags;
};

class PackedQueue final : public Virtqueue {
 public:
  PackedQueue(DmaMap& dma, const QueueAddresses& at,
              const QueueOptions& options)
      : dma_(dma), at_(at), options_(options) {}

  Taken Take(Chain* chain) override;
  bool HasChain() override;
  Mark mark() const override { return avail_; }
  void Rewind(Mark mark) override { avail_ = mark; }
  bool Put(const Chain& chain, uint32_t bytes) override;
  bool Publish() override;
  bool ShouldInterrupt() override;
  void AskForKick() override;

 private:
  bool Fetch(uint64_t place, Descriptor* descriptor);
  bool Available(const Descriptor& descriptor) const {
    const bool avail = (descriptor.flags & kAvail) != 0;
    const bool used = (descriptor.flags & kUsed) != 0;
    return avail != used && avail == avail_.wrap;
  }
  bool Add(const Descriptor& descriptor, Chain* chain);
  bool AddTable(const Descriptor& descriptor, Chain* chain);
  void Advance(Mark* mark, uint16_t slots) const {
    mark->index = static_cast<uint16_t>(mark->index + slots);
    if (mark->index < at_.size) return;
    mark->index = static_cast<uint16_t>(mark->index - at_.size);
    mark->wrap = !mark->wrap;
  }
  bool PutOnce(const Chain& chain, uint32_t bytes, Mark place);
  Taken Break() {
    broken_ = true;
    return Taken::kBroken;
  }

  DmaMap& dma_;
  const QueueAddresses at_;
  const QueueOptions options_;
  Mark avail_;
  Mark used_;
  uint16_t signalled_ = 0;  // used_.index when it was last looked at.
  bool signalled_valid_ = true;
  bool broken_ = false;
};

bool PackedQueue::Fetch(uint64_t place, Descriptor* descriptor) {
  // The flags come with the second quadword: it is read first.
  uint64_t addr, rest;
  if (!dma_.ReadQuad(place + 8, &rest) || !dma_.ReadQuad(place, &addr)) {
    return false;
  }
  *descriptor = {addr, static_cast<uint32_t>(rest),
                 static_cast<uint16_t>(rest >> 32),
                 static_cast<uint16_t>(rest >> 48)};
  return true;
}

bool PackedQueue::Add(const Descriptor& descriptor, Chain* chain) {
  const Segment segment = {descriptor.addr, descriptor.len};
  if ((descriptor.flags & kWrite) != 0) {
    chain->writable.push_back(segment);
    return true;
  }
  if (!chain->writable.empty()) return false;
  chain->readable.push_back(segment);
  return true;
}

// 2.8.7: an indirect table is read from its begin to its end.
bool PackedQueue::AddTable(const Descriptor& table, Chain* chain) {
  const uint32_t entries = table.len / kDescriptorBytes;
  if (!options_.indirect || entries == 0 || entries > at_.size ||
      table.len % kDescriptorBytes != 0) {
    return false;
  }
  for (uint32_t i = 0; i < entries; ++i) {
    Descriptor descriptor;
    if (!Fetch(table.addr + i * kDescriptorBytes, &descriptor) ||
        (descriptor.flags & kIndirect) != 0 || !Add(descriptor, chain)) {
      return false;
    }
  }
  return true;
}

bool PackedQueue::HasChain() {
  Descriptor descriptor;
  return !broken_ &&
         Fetch(at_.desc + avail_.index * kDescriptorBytes, &descriptor) &&
         Available(descriptor);
}

Virtqueue::Taken PackedQueue::Take(Chain* chain) {
  if (broken_) return Taken::kBroken;
  chain->Clear();
  Mark place = avail_;
  // A chain takes at most the whole ring: one without end ends here.
  while (chain->slots < at_.size) {
    Descriptor descriptor;
    if (!Fetch(at_.desc + place.index * kDescriptorBytes, &descriptor)) {
      return Break();
    }
    // 2.8.6: the first descriptor's flags are written last, for all of them.
    if (chain->slots == 0 && !Available(descriptor)) return Taken::kEmpty;
    const bool indirect = (descriptor.flags & kIndirect) != 0;
    const bool next = (descriptor.flags & kNext) != 0;
    if (indirect ? (chain->slots != 0 || next || !AddTable(descriptor, chain))
                 : !Add(descriptor, chain)) {
      return Break();
    }
    ++chain->slots;
    Advance(&place, 1);
    if (next) continue;
    chain->id = descriptor.id;
    avail_ = place;
    return Taken::kChain;
  }
  return Break();
}

bool PackedQueue::PutOnce(const Chain& chain, uint32_t bytes, Mark place) {
  const auto flags =
      static_cast<uint16_t>((place.wrap ? kAvail | kUsed : 0) |
                            (chain.writable.empty() ? 0 : kWrite));
  return dma_.WriteQuad(
      at_.desc + place.index * kDescriptorBytes + 8,
      bytes | uint64_t{chain.id} << 32 | uint64_t{flags} << 48);
}

bool PackedQueue::Put(const Chain& chain, uint32_t bytes) {
  if (options_.faults.never_complete) return true;
  if (options_.faults.length_beyond_buffer && bytes != 0) {
    bytes = static_cast<uint32_t>(chain.writable_bytes()) + kTooMany;
  }
  const Mark place = used_;
  Advance(&used_, chain.slots);
  if (place.wrap != used_.wrap) signalled_valid_ = false;
  // Twice in the same place: anywhere else it would destroy what is available.
  if (options_.faults.complete_twice && !PutOnce(chain, bytes, place)) {
    return false;
  }
  return PutOnce(chain, bytes, place);
}

// Each descriptor was published as it was written.
bool PackedQueue::Publish() { return true; }

bool PackedQueue::ShouldInterrupt() {
  if (signalled_valid_ && signalled_ == used_.index) return false;
  const uint16_t old = signalled_;
  const bool whole = !signalled_valid_;
  signalled_ = used_.index;
  signalled_valid_ = true;
  uint16_t flags, place;
  if (!dma_.ReadWord(at_.driver + 2, &flags)) return false;
  if (flags == kEventDisable) return false;
  if (flags != kEventDescriptor || !options_.event_idx || whole) return true;
  if (!dma_.ReadWord(at_.driver, &place)) return false;
  auto event = static_cast<uint16_t>(place & ~kWrapBit);
  if (((place & kWrapBit) != 0) != used_.wrap) {
    event = static_cast<uint16_t>(event - at_.size);
  }
  return Passes(event, used_.index, old);
}

void PackedQueue::AskForKick() {
  if (!options_.event_idx) return;
  const auto place =
      static_cast<uint16_t>(avail_.index | (avail_.wrap ? kWrapBit : 0));
  if (dma_.WriteWord(at_.device, place)) {
    static_cast<void>(dma_.WriteWord(at_.device + 2, kEventDescriptor));
  }
}

}  // namespace

std::unique_ptr<Virtqueue> MakePackedQueue(DmaMap& dma,
                                           const QueueAddresses& addresses,
                                           const QueueOptions& options) {
  return std::make_unique<PackedQueue>(dma, addresses, options);
}

}  // namespace bulkhead::nic_model::virtio_net
