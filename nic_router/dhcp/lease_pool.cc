#include "nic_router/dhcp/lease_pool.h"

#include <algorithm>
#include <bit>

#include "nic_router/dhcp/check_value.h"

namespace bulkhead::nic_router::dhcp {
namespace {

bool IsUnicast(const MacAddress& mac) {
  return (mac[0] & 1) == 0 && mac != MacAddress{};
}

}  // namespace

LeasePool::LeasePool(const Settings& settings, LeaseMemory& memory,
                     uint64_t now_ns)
    : settings_(settings),
      size_(std::min(settings.last - settings.first, kMaxRange - 1) + 1),
      memory_(memory),
      numbers_(size_, kNone),
      used_((size_ + 63) / 64),
      buckets_(std::bit_ceil(size_), kNone),
      next_(size_, kNone) {
  for (uint32_t number = 0; number < memory_.capacity(); ++number) {
    const LeaseEntry& entry = memory_.at(number);
    if (entry.state == LeaseState::kFree || entry.domain != settings_.domain) {
      continue;
    }
    if (!Agrees(entry, now_ns)) {
      ++dropped_;
      memory_.Put(number, LeaseEntry());
      continue;
    }
    const uint32_t offset = entry.address - settings_.first;
    numbers_[offset] = number;
    used_[offset / 64] |= uint64_t{1} << offset % 64;
    ++entries_;
    if (entry.state == LeaseState::kFormer) ++formers_;
    Link(offset);
  }
  Expire(now_ns);
}

// Whether an entry that was read back may be believed beside those before it.
bool LeasePool::Agrees(const LeaseEntry& entry, uint64_t now_ns) const {
  if (!InRange(entry.address) || !IsUnicast(entry.mac)) return false;
  if (numbers_[entry.address - settings_.first] != kNone) return false;
  if (FindOffset(entry.mac, entry.state == LeaseState::kDeclined) != kNone) {
    return false;
  }
  const uint64_t latest = entry.state == LeaseState::kFormer
                              ? now_ns
                              : now_ns + settings_.longest_ns;
  return entry.expires_ns <= latest;
}

const LeaseEntry* LeasePool::Find(const MacAddress& mac) const {
  const uint32_t offset = FindOffset(mac, false);
  return offset == kNone ? nullptr : &memory_.at(numbers_[offset]);
}

std::optional<Ipv4Address> LeasePool::Offer(const MacAddress& mac,
                                            std::optional<Ipv4Address> wanted,
                                            uint64_t until_ns,
                                            uint64_t now_ns) {
  const uint32_t own = FindOffset(mac, false);
  if (own != kNone) {
    const LeaseEntry& entry = memory_.at(numbers_[own]);
    const bool bound =
        entry.state == LeaseState::kBound && entry.expires_ns > now_ns;
    if (!bound) SetState(own, LeaseState::kOffered, until_ns);
    return settings_.first + own;
  }
  std::optional<Ipv4Address> address;
  if (wanted && InRange(*wanted) &&
      numbers_[*wanted - settings_.first] == kNone) {
    address = wanted;
  }
  if (!address) address = FirstFree();
  if (!address) address = OldestFormer();
  if (!address || !Assign(*address, mac, LeaseState::kOffered, until_ns)) {
    return std::nullopt;
  }
  return address;
}

bool LeasePool::Bind(const MacAddress& mac, Ipv4Address address,
                     uint64_t until_ns) {
  if (!InRange(address)) return false;
  const uint32_t offset = address - settings_.first;
  const uint32_t own = FindOffset(mac, false);
  if (own == offset) {
    SetState(own, LeaseState::kBound, until_ns);
    return true;
  }
  if (!IsFree(address)) return false;
  if (own != kNone) Free(own);
  return Assign(address, mac, LeaseState::kBound, until_ns);
}

bool LeasePool::Release(const MacAddress& mac, Ipv4Address address,
                        uint64_t now_ns) {
  const uint32_t own = FindOffset(mac, false);
  if (own == kNone || settings_.first + own != address) return false;
  SetState(own, LeaseState::kFormer, now_ns);
  return true;
}

bool LeasePool::Decline(const MacAddress& mac, Ipv4Address address,
                        uint64_t until_ns) {
  const uint32_t own = FindOffset(mac, false);
  if (own == kNone || settings_.first + own != address) return false;
  const uint32_t before = FindOffset(mac, true);
  if (before != kNone) Free(before);
  SetState(own, LeaseState::kDeclined, until_ns);
  return true;
}

void LeasePool::Expire(uint64_t now_ns) {
  for (uint32_t offset = 0; offset < size_; ++offset) {
    if (numbers_[offset] == kNone) continue;
    const LeaseEntry& entry = memory_.at(numbers_[offset]);
    if (entry.state == LeaseState::kFormer || entry.expires_ns > now_ns) {
      continue;
    }
    if (entry.state == LeaseState::kBound) {
      SetState(offset, LeaseState::kFormer, entry.expires_ns);
    } else {
      Free(offset);
    }
  }
}

bool LeasePool::IsFree(Ipv4Address address) const {
  const uint32_t number = numbers_[address - settings_.first];
  return number == kNone || memory_.at(number).state == LeaseState::kFormer;
}

std::optional<Ipv4Address> LeasePool::FirstFree() const {
  for (uint32_t word = 0; word < used_.size(); ++word) {
    uint64_t unused = ~used_[word];
    for (; unused != 0; unused &= unused - 1) {
      const uint32_t offset =
          word * 64 + static_cast<uint32_t>(std::countr_zero(unused));
      if (offset < size_ && InRange(settings_.first + offset)) {
        return settings_.first + offset;
      }
    }
  }
  return std::nullopt;
}

std::optional<Ipv4Address> LeasePool::OldestFormer() const {
  if (formers_ == 0) return std::nullopt;
  const LeaseEntry* oldest = nullptr;
  for (const uint32_t number : numbers_) {
    if (number == kNone) continue;
    const LeaseEntry& entry = memory_.at(number);
    if (entry.state != LeaseState::kFormer) continue;
    if (oldest == nullptr || entry.expires_ns < oldest->expires_ns) {
      oldest = &entry;
    }
  }
  return oldest->address;
}

// Requires: IsFree(address).
bool LeasePool::Assign(Ipv4Address address, const MacAddress& mac,
                       LeaseState state, uint64_t expires_ns) {
  const uint32_t offset = address - settings_.first;
  if (numbers_[offset] != kNone) Free(offset);
  std::optional<uint32_t> number = memory_.Take();
  if (!number) {
    // Other domains have the rest of the memory; somebody's memory of an
    // address is worth less than somebody's address.
    const std::optional<Ipv4Address> former = OldestFormer();
    if (!former) return false;
    Free(*former - settings_.first);
    number = memory_.Take();
    if (!number) return false;
  }
  LeaseEntry entry;
  entry.expires_ns = expires_ns;
  entry.address = address;
  entry.domain = settings_.domain;
  entry.mac = mac;
  entry.state = state;
  memory_.Put(*number, entry);
  numbers_[offset] = *number;
  used_[offset / 64] |= uint64_t{1} << offset % 64;
  ++entries_;
  Link(offset);
  return true;
}

void LeasePool::SetState(uint32_t offset, LeaseState state,
                         uint64_t expires_ns) {
  LeaseEntry entry = memory_.at(numbers_[offset]);
  if (entry.state == LeaseState::kFormer) --formers_;
  if (state == LeaseState::kFormer) ++formers_;
  entry.state = state;
  entry.expires_ns = expires_ns;
  memory_.Put(numbers_[offset], entry);
}

void LeasePool::Free(uint32_t offset) {
  Unlink(offset);
  --entries_;
  if (memory_.at(numbers_[offset]).state == LeaseState::kFormer) --formers_;
  memory_.Put(numbers_[offset], LeaseEntry());
  numbers_[offset] = kNone;
  used_[offset / 64] &= ~(uint64_t{1} << offset % 64);
}

uint32_t LeasePool::BucketOf(const MacAddress& mac) const {
  const uint64_t sum = CheckValue(0, std::as_bytes(std::span(mac)));
  return static_cast<uint32_t>(sum ^ sum >> 32) & (buckets_.size() - 1);
}

uint32_t LeasePool::FindOffset(const MacAddress& mac, bool declined) const {
  uint32_t offset = buckets_[BucketOf(mac)];
  for (; offset != kNone; offset = next_[offset]) {
    const LeaseEntry& entry = memory_.at(numbers_[offset]);
    const bool is_declined = entry.state == LeaseState::kDeclined;
    if (entry.mac == mac && is_declined == declined) break;
  }
  return offset;
}

void LeasePool::Link(uint32_t offset) {
  uint32_t& bucket = buckets_[BucketOf(memory_.at(numbers_[offset]).mac)];
  next_[offset] = bucket;
  bucket = offset;
}

void LeasePool::Unlink(uint32_t offset) {
  uint32_t* link = &buckets_[BucketOf(memory_.at(numbers_[offset]).mac)];
  while (*link != offset) link = &next_[*link];
  *link = next_[offset];
}

}  // namespace bulkhead::nic_router::dhcp
