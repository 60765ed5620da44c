#include "nic_router/engine/fragment_table.h"

#include <algorithm>

#include "nic_router/engine/hash.h"

namespace bulkhead::nic_router {

FragmentTable::Set& FragmentTable::SetOf(const FragmentKey& key) const {
  Hasher hasher(seed_);
  hasher.Add(uint64_t{key.domain_hash} << 32 | key.id);
  hasher.Add(uint64_t{key.protocol} << 8 | key.version);
  hasher.AddBytes(key.source.data(), key.source.size());
  hasher.AddBytes(key.destination.data(), key.destination.size());
  return sets_[hasher.value() % (kEntries / kWays)];
}

FragmentTable::Entry* FragmentTable::Find(const FragmentKey& key,
                                          uint32_t now_s) {
  for (Entry& entry : SetOf(key)) {
    if (entry.seen_s != 0 && entry.key == key &&
        now_s - entry.seen_s < kKeptS) {
      return &entry;
    }
  }
  return nullptr;
}

FragmentTable::Entry& FragmentTable::Start(const FragmentKey& key,
                                           uint32_t now_s) {
  Set& set = SetOf(key);
  Entry* place = &set[0];
  for (Entry& entry : set) {
    if (entry.seen_s < place->seen_s) place = &entry;
  }
  *place = {};
  place->key = key;
  place->seen_s = std::max<uint32_t>(now_s, 1);
  return *place;
}

DropReason FragmentTable::Note(Entry& entry, uint32_t begin, uint32_t end) {
  // A run that this one continues on its left, one on its right.
  Entry::Run* left = nullptr;
  Entry::Run* right = nullptr;
  for (uint32_t i = 0; i < entry.runs; ++i) {
    Entry::Run& run = entry.run[i];
    if (begin < run.end && run.begin < end) return DropReason::kFragOverlap;
    if (run.end == begin) left = &run;
    if (run.begin == end) right = &run;
  }
  if (left != nullptr && right != nullptr) {
    left->end = right->end;
    *right = entry.run[--entry.runs];
  } else if (left != nullptr) {
    left->end = end;
  } else if (right != nullptr) {
    right->begin = begin;
  } else if (entry.runs < kRuns) {
    entry.run[entry.runs++] = {begin, end};
  } else {
    return DropReason::kFragTooMany;
  }
  return DropReason::kNone;
}

}  // namespace bulkhead::nic_router
