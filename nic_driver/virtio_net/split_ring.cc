// The split virtqueue: Virtio 1.2, section 2.7.
#include <algorithm>
#include <vector>

#include "nic_driver/virtio_net/shared_word.h"
#include "nic_driver/virtio_net/virtqueue.h"

namespace bulkhead::nic_driver::virtio_net {
namespace {

// 2.7.5, 2.7.6, 2.7.8.
constexpr uint16_t NEXT = 1;
constexpr uint16_t WRITE = 2;
constexpr uint16_t NO_INTERRUPT = 1;
constexpr uint16_t NO_NOTIFY = 1;

struct Descriptor {
  uint64_t addr;
  uint32_t len;
  uint16_t flags;
  uint16_t next;
};
static_assert(sizeof(Descriptor) == 16);

struct UsedEntry {
  uint32_t id;
  uint32_t len;
};
static_assert(sizeof(UsedEntry) == 8);

size_t AvailOffset(size_t size) { return size * sizeof(Descriptor); }
// Behind flags, idx, ring and used_event, at a multiple of 4 (2.7), but not of
// 8: the used entries, which begin 4 bytes into it, are then at multiples of
// their own size, so that none lies on two pages. Ring memory is scattered, and
// QEMU (seen in 10.0) translates only what such an entry has on the first page;
// the rest goes to whatever follows that page in physical memory, which the
// IOMMU never sees. See tests/hardware/README.md.
size_t UsedOffset(size_t size) {
  const size_t avail_end = AvailOffset(size) + 2 * (3 + size);
  return ((avail_end + 3) & ~size_t{7}) + 4;
}

class SplitRing final : public Virtqueue {
 public:
  SplitRing(const DmaMemory& memory, size_t offset, uint16_t size,
            bool event_idx)
      : memory_(memory),
        offset_(offset),
        mask_(static_cast<uint16_t>(size - 1)),
        event_idx_(event_idx),
        table_(memory.As<Descriptor>(offset, size)),
        avail_(memory.As<uint16_t>(offset + AvailOffset(size), 3u + size)),
        used_words_(memory.As<uint16_t>(offset + UsedOffset(size), 2)),
        used_(memory.As<UsedEntry>(offset + UsedOffset(size) + 4, size)),
        avail_event_(
            *memory.As<uint16_t>(offset + UsedOffset(size) + 4 + 8 * size, 1)
                 .data()),
        chains_(size),
        next_(size) {
    Forget();
  }

  uint16_t size() const override { return static_cast<uint16_t>(mask_ + 1); }
  RingAddresses addresses() const override {
    return {memory_.iova(offset_), memory_.iova(offset_ + AvailOffset(size())),
            memory_.iova(offset_ + UsedOffset(size()))};
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
  // What is in flight, by its first descriptor.
  struct Chain {
    uint16_t descriptors = 0;  // 0: nothing.
    uint16_t cookie = 0;
  };

  void Forget();
  uint16_t& used_event() { return avail_[2u + size()]; }

  const DmaMemory& memory_;
  const size_t offset_;
  const uint16_t mask_;
  const bool event_idx_;
  // Shared.
  const std::span<Descriptor> table_;
  const std::span<uint16_t> avail_;       // flags, idx, ring…, used_event.
  const std::span<uint16_t> used_words_;  // flags, idx.
  const std::span<UsedEntry> used_;
  uint16_t& avail_event_;
  // Private.
  std::vector<Chain> chains_;
  std::vector<uint16_t> next_;  // The free list, and each chain.
  uint16_t free_ = 0;
  uint16_t free_count_ = 0;
  uint16_t tail_ = 0;       // avail idx, with what is not published yet.
  uint16_t published_ = 0;  // avail idx as the device sees it.
  uint16_t head_ = 0;       // Next used entry to look at.
  uint16_t peeked_ = 0;     // First descriptor of what Peek found.
};

void SplitRing::Forget() {
  std::fill(chains_.begin(), chains_.end(), Chain{});
  for (uint16_t i = 0; i < size(); ++i) next_[i] = static_cast<uint16_t>(i + 1);
  free_ = 0;
  free_count_ = size();
  tail_ = published_ = head_ = 0;
}

void SplitRing::Reset() {
  std::fill(table_.begin(), table_.end(), Descriptor{});
  std::fill(avail_.begin(), avail_.end(), 0);
  std::fill(used_words_.begin(), used_words_.end(), 0);
  std::fill(used_.begin(), used_.end(), UsedEntry{});
  avail_event_ = 0;
  Forget();
}

void SplitRing::Add(std::span<const Segment> segments, uint16_t cookie) {
  const uint16_t first = free_;
  uint16_t index = first;
  for (size_t i = 0; i < segments.size(); ++i) {
    const bool more = i + 1 < segments.size();
    Descriptor& descriptor = table_[index];
    descriptor.addr = segments[i].iova;
    descriptor.len = segments[i].bytes;
    descriptor.flags = static_cast<uint16_t>(
        (segments[i].device_writes ? WRITE : 0) | (more ? NEXT : 0));
    descriptor.next = next_[index];
    index = next_[index];
  }
  free_ = index;
  free_count_ = static_cast<uint16_t>(free_count_ - segments.size());
  chains_[first] = {static_cast<uint16_t>(segments.size()), cookie};
  avail_[2u + (tail_++ & mask_)] = first;
}

bool SplitRing::Publish() {
  if (tail_ == published_) return false;
  const uint16_t old = published_;
  published_ = tail_;
  Store(avail_[1], tail_);
  if (event_idx_) return Passes(Load(avail_event_), tail_, old);
  return (Load(used_words_[0]) & NO_NOTIFY) == 0;
}

bool SplitRing::Peek(Completion* completion) {
  // A device whose index makes no sense is looked at again later.
  const auto waiting = static_cast<uint16_t>(Load(used_words_[1]) - head_);
  if (waiting > size()) return false;
  for (uint16_t left = waiting; left > 0; --left) {
    const UsedEntry entry = used_[head_ & mask_];
    if (entry.id < size() && chains_[entry.id].descriptors != 0) {
      peeked_ = static_cast<uint16_t>(entry.id);
      *completion = {chains_[peeked_].cookie, entry.len};
      return true;
    }
    ++head_;  // It names nothing that the device has.
  }
  return false;
}

void SplitRing::Pop() {
  ++head_;
  Chain& chain = chains_[peeked_];
  uint16_t last = peeked_;
  for (uint16_t i = 1; i < chain.descriptors; ++i) last = next_[last];
  next_[last] = free_;
  free_ = peeked_;
  free_count_ = static_cast<uint16_t>(free_count_ + chain.descriptors);
  chain = {};
}

void SplitRing::ArmInterrupt() {
  if (event_idx_) {
    Store(used_event(), head_);
  } else {
    Store(avail_[0], 0);
  }
}

// With event indices, an index that was passed is silent by itself; this one is
// passed last of all.
void SplitRing::DisarmInterrupt() {
  if (event_idx_) {
    Store(used_event(), static_cast<uint16_t>(head_ - 1));
  } else {
    Store(avail_[0], NO_INTERRUPT);
  }
}

}  // namespace

size_t SplitRingBytes(uint16_t size) {
  return (UsedOffset(size) + 4 + 8u * size + 2 + 15) & ~size_t{15};
}

std::unique_ptr<Virtqueue> MakeSplitRing(const DmaMemory& memory, size_t offset,
                                         uint16_t size, bool event_idx) {
  return std::make_unique<SplitRing>(memory, offset, size, event_idx);
}

}  // namespace bulkhead::nic_driver::virtio_net
