// The split virtqueue: Virtio 1.2, section 2.7.
#include <optional>

#include "nic_model/virtio_net/layout.h"
#include "nic_model/virtio_net/virtqueue.h"

namespace bulkhead::nic_model::virtio_net {
namespace {

constexpr uint64_t kDescriptorBytes = 16;
constexpr uint16_t kNoInterrupt = 1;  // VIRTQ_AVAIL_F_NO_INTERRUPT
// Test fault length_beyond_buffer.
constexpr uint32_t kTooMany = 4096;

struct Descriptor {
  uint64_t addr;
  uint32_t len;
  uint16_t flags;
  uint16_t next;
};

class SplitQueue final : public Virtqueue {
 public:
  SplitQueue(DmaMap& dma, const QueueAddresses& at, const QueueOptions& options)
      : dma_(dma), at_(at), options_(options) {}

  Taken Take(Chain* chain) override;
  bool HasChain() override;
  Mark mark() const override { return {last_avail_, true}; }
  void Rewind(Mark mark) override { last_avail_ = mark.index; }
  bool Put(const Chain& chain, uint32_t bytes) override;
  bool Publish() override;
  bool ShouldInterrupt() override;
  void AskForKick() override;

 private:
  // 2.7.6, 2.7.8: the available and the used ring.
  uint64_t AvailFlags() const { return at_.driver; }
  uint64_t AvailIndex() const { return at_.driver + 2; }
  uint64_t AvailEntry(uint16_t index) const {
    return at_.driver + 4 + 2 * (index % at_.size);
  }
  uint64_t UsedEvent() const { return at_.driver + 4 + 2 * at_.size; }
  uint64_t UsedIndex() const { return at_.device + 2; }
  uint64_t UsedEntry(uint16_t index) const {
    return at_.device + 4 + 8 * (index % at_.size);
  }
  uint64_t AvailEvent() const { return at_.device + 4 + 8 * at_.size; }

  std::optional<Descriptor> Fetch(uint64_t table, uint32_t index);
  // Follows a chain through a table of `count` descriptors.
  bool Follow(uint64_t table, uint32_t count, uint32_t first, bool indirect,
              Chain* chain);
  bool Add(const Descriptor& descriptor, Chain* chain);
  bool PutOnce(uint16_t id, uint32_t bytes);
  Taken Break() {
    broken_ = true;
    return Taken::kBroken;
  }

  DmaMap& dma_;
  const QueueAddresses at_;
  const QueueOptions options_;
  uint16_t last_avail_ = 0;
  uint16_t used_ = 0;       // Next to be written.
  uint16_t published_ = 0;  // As the driver was told.
  uint16_t signalled_ = 0;  // published_ when it was last looked at.
  bool broken_ = false;
};

std::optional<Descriptor> SplitQueue::Fetch(uint64_t table, uint32_t index) {
  uint64_t addr, rest;
  const uint64_t place = table + index * kDescriptorBytes;
  if (!dma_.ReadQuad(place, &addr) || !dma_.ReadQuad(place + 8, &rest)) {
    return std::nullopt;
  }
  return Descriptor{addr, static_cast<uint32_t>(rest),
                    static_cast<uint16_t>(rest >> 32),
                    static_cast<uint16_t>(rest >> 48)};
}

bool SplitQueue::Add(const Descriptor& descriptor, Chain* chain) {
  const Segment segment = {descriptor.addr, descriptor.len};
  if ((descriptor.flags & kWrite) != 0) {
    chain->writable.push_back(segment);
    return true;
  }
  // 2.7.4.2: what the device reads comes before what it writes.
  if (!chain->writable.empty()) return false;
  chain->readable.push_back(segment);
  return true;
}

bool SplitQueue::Follow(uint64_t table, uint32_t count, uint32_t first,
                        bool indirect, Chain* chain) {
  uint32_t index = first;
  // A chain has at most as many descriptors as the table: loops end.
  for (uint32_t seen = 0; seen < count; ++seen) {
    if (index >= count) return false;
    const std::optional<Descriptor> descriptor = Fetch(table, index);
    if (!descriptor) return false;
    if ((descriptor->flags & kIndirect) != 0) {
      // 2.7.5.3: only the last of a chain, and never within a table.
      const uint32_t entries = descriptor->len / kDescriptorBytes;
      if (indirect || !options_.indirect || seen != 0 || entries == 0 ||
          (descriptor->flags & kNext) != 0 || entries > at_.size ||
          descriptor->len % kDescriptorBytes != 0) {
        return false;
      }
      return Follow(descriptor->addr, entries, 0, true, chain);
    }
    if (!Add(*descriptor, chain)) return false;
    if ((descriptor->flags & kNext) == 0) return true;
    index = descriptor->next;
  }
  return false;
}

bool SplitQueue::HasChain() {
  uint16_t index;
  if (broken_ || !dma_.ReadWord(AvailIndex(), &index)) return false;
  // More than fits is for Take to refuse.
  return index != last_avail_;
}

Virtqueue::Taken SplitQueue::Take(Chain* chain) {
  if (broken_) return Taken::kBroken;
  uint16_t index;
  if (!dma_.ReadWord(AvailIndex(), &index)) return Break();
  const auto waiting = static_cast<uint16_t>(index - last_avail_);
  if (waiting == 0) return Taken::kEmpty;
  if (waiting > at_.size) return Break();
  uint16_t head;
  if (!dma_.ReadWord(AvailEntry(last_avail_), &head)) return Break();
  chain->Clear();
  chain->id = head;
  if (!Follow(at_.desc, at_.size, head, false, chain)) return Break();
  ++last_avail_;
  return Taken::kChain;
}

bool SplitQueue::PutOnce(uint16_t id, uint32_t bytes) {
  const uint64_t entry = UsedEntry(used_++);
  uint8_t both[8] = {static_cast<uint8_t>(id), static_cast<uint8_t>(id >> 8)};
  for (int i = 0; i < 4; ++i)
    both[4 + i] = static_cast<uint8_t>(bytes >> 8 * i);
  return dma_.Write(entry, both);
}

bool SplitQueue::Put(const Chain& chain, uint32_t bytes) {
  if (options_.faults.never_complete) return true;
  if (options_.faults.length_beyond_buffer && bytes != 0) {
    bytes = static_cast<uint32_t>(chain.writable_bytes()) + kTooMany;
  }
  if (options_.faults.complete_twice && !PutOnce(chain.id, bytes)) return false;
  return PutOnce(chain.id, bytes);
}

bool SplitQueue::Publish() {
  if (used_ == published_) return true;
  if (options_.faults.head_backwards &&
      (!dma_.WriteWord(UsedIndex(), used_) ||
       !dma_.WriteWord(UsedIndex(), static_cast<uint16_t>(published_ - 1)))) {
    return false;
  }
  published_ = used_;
  return dma_.WriteWord(UsedIndex(), published_);
}

bool SplitQueue::ShouldInterrupt() {
  if (signalled_ == published_) return false;
  const uint16_t old = signalled_;
  signalled_ = published_;
  uint16_t word;
  if (!options_.event_idx) {
    return dma_.ReadWord(AvailFlags(), &word) && (word & kNoInterrupt) == 0;
  }
  return dma_.ReadWord(UsedEvent(), &word) && Passes(word, published_, old);
}

// Without event indices nothing is ever suppressed.
void SplitQueue::AskForKick() {
  if (!options_.event_idx) return;
  static_cast<void>(dma_.WriteWord(AvailEvent(), last_avail_));
}

}  // namespace

std::unique_ptr<Virtqueue> MakeSplitQueue(DmaMap& dma,
                                          const QueueAddresses& addresses,
                                          const QueueOptions& options) {
  return std::make_unique<SplitQueue>(dma, addresses, options);
}

}  // namespace bulkhead::nic_model::virtio_net
