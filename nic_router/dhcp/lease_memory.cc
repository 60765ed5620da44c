#include "nic_router/dhcp/lease_memory.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "nic_router/dhcp/check_value.h"

namespace bulkhead::nic_router::dhcp {
namespace {

constexpr uint64_t kLeaseSeed = 0x6c65617365'0001;  // "lease", layout 1.

uint64_t CheckOf(const LeaseEntry& entry) {
  return CheckValue(
      kLeaseSeed,
      std::as_bytes(std::span(&entry, 1)).first(offsetof(LeaseEntry, check)));
}

bool IsEmpty(const LeaseEntry& entry) {
  static constexpr LeaseEntry kEmpty{};
  return std::memcmp(&entry, &kEmpty, sizeof entry) == 0;
}

bool Plausible(const LeaseEntry& entry) {
  return entry.check == CheckOf(entry) && entry.state > LeaseState::kFree &&
         entry.state <= LeaseState::kDeclined;
}

}  // namespace

LeaseMemory::LeaseMemory(std::span<std::byte> region)
    : region_(region), entries_(region.size() / sizeof(LeaseEntry)) {
  free_.reserve(entries_.size());
  // From the back, so that the first are taken first.
  for (uint32_t number = capacity(); number-- > 0;) {
    LeaseEntry& entry = entries_[number];
    std::memcpy(&entry, &region_[number * sizeof entry], sizeof entry);
    // Most are; a sum over nothing and a write of it are spared.
    const bool empty = IsEmpty(entry);
    if (!empty && Plausible(entry)) continue;
    if (!empty) {
      ++dropped_;
      entry = LeaseEntry();
      Write(number);
    }
    free_.push_back(number);
  }
}

std::optional<uint32_t> LeaseMemory::Take() {
  if (free_.empty()) return std::nullopt;
  const uint32_t number = free_.back();
  free_.pop_back();
  return number;
}

void LeaseMemory::Keep(std::span<const uint32_t> domains) {
  for (uint32_t number = 0; number < capacity(); ++number) {
    const LeaseEntry& entry = entries_[number];
    if (entry.state == LeaseState::kFree) continue;
    if (std::find(domains.begin(), domains.end(), entry.domain) ==
        domains.end()) {
      Put(number, LeaseEntry());
    }
  }
}

void LeaseMemory::Put(uint32_t number, const LeaseEntry& entry) {
  entries_[number] = entry;
  if (entry.state == LeaseState::kFree) {
    entries_[number] = LeaseEntry();
    free_.push_back(number);
  } else {
    entries_[number].check = CheckOf(entry);
  }
  Write(number);
}

// The check value goes first to nothing and last to what is right: a process
// that dies in between leaves an entry that is dropped.
void LeaseMemory::Write(uint32_t number) {
  const LeaseEntry& entry = entries_[number];
  std::byte* at = &region_[number * sizeof entry];
  constexpr size_t kCheckAt = offsetof(LeaseEntry, check);
  const auto write_check = [at](uint64_t check) {
    std::atomic_ref<uint64_t>(*reinterpret_cast<uint64_t*>(at + kCheckAt))
        .store(check, std::memory_order_seq_cst);
  };
  write_check(0);
  std::memcpy(at, &entry, kCheckAt);
  write_check(entry.check);
}

}  // namespace bulkhead::nic_router::dhcp
