#include "nic_model/dma_map.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace bulkhead::nic_model {

int DmaMap::Map(uint64_t iova, uint64_t bytes, UniqueFd memory,
                uint64_t fd_offset, bool readable, bool writable) {
  if (ranges_.size() >= kMaxRanges) return ENOSPC;
  if (bytes == 0 || iova + (bytes - 1) < iova) return EINVAL;
  const auto next =
      std::find_if(ranges_.begin(), ranges_.end(),
                   [iova](const Range& range) { return range.iova >= iova; });
  if (next != ranges_.end() && next->iova - iova < bytes) return EEXIST;
  if (next != ranges_.begin()) {
    const Range& before = *std::prev(next);
    if (iova - before.iova < before.bytes) return EEXIST;
  }
  // Pages beyond the end of the memory would raise SIGBUS here. (Memory that
  // its owner shrinks later ends this model, and no other.)
  struct stat info;
  if (::fstat(memory.get(), &info) != 0) return errno;
  const auto memory_bytes = static_cast<uint64_t>(info.st_size);
  if (fd_offset > memory_bytes || bytes > memory_bytes - fd_offset) {
    return EINVAL;
  }
  const uint64_t lead = fd_offset % kPageBytes;
  auto mapping =
      Mapping::MapAny(memory.get(), fd_offset - lead, bytes + lead,
                      writable ? Access::kReadWrite : Access::kReadOnly);
  if (!mapping.ok()) return EINVAL;
  uint8_t* data = mapping->data() + lead;
  ranges_.insert(next,
                 {iova, bytes, data, readable, writable, *std::move(mapping)});
  return 0;
}

int DmaMap::Unmap(uint64_t iova, uint64_t bytes) {
  const auto it = std::find_if(
      ranges_.begin(), ranges_.end(), [iova, bytes](const Range& range) {
        return range.iova == iova && range.bytes == bytes;
      });
  if (it == ranges_.end()) return ENOENT;
  ranges_.erase(it);
  return 0;
}

void DmaMap::UnmapAll() { ranges_.clear(); }

uint8_t* DmaMap::Find(uint64_t iova, size_t bytes, bool write, size_t* here) {
  const auto holds = [iova](const Range& range) {
    return iova >= range.iova && iova - range.iova < range.bytes;
  };
  if (last_ >= ranges_.size() || !holds(ranges_[last_])) {
    auto it = std::upper_bound(
        ranges_.begin(), ranges_.end(), iova,
        [](uint64_t value, const Range& range) { return value < range.iova; });
    if (it == ranges_.begin() || !holds(*--it)) {
      Bump(counters_.dma_faults);
      return nullptr;
    }
    last_ = static_cast<size_t>(it - ranges_.begin());
  }
  const Range& range = ranges_[last_];
  if (write ? !range.writable : !range.readable) {
    Bump(counters_.dma_faults);
    return nullptr;
  }
  const uint64_t offset = iova - range.iova;
  *here = std::min<uint64_t>(bytes, range.bytes - offset);
  return range.data + offset;
}

bool DmaMap::Read(uint64_t iova, std::span<uint8_t> out) {
  if (!bus_master_) return false;
  while (!out.empty()) {
    size_t here;
    const uint8_t* data = Find(iova, out.size(), /*write=*/false, &here);
    if (data == nullptr) return false;
    std::memcpy(out.data(), data, here);
    out = out.subspan(here);
    iova += here;
  }
  return true;
}

bool DmaMap::Write(uint64_t iova, std::span<const uint8_t> data) {
  if (!bus_master_) return false;
  while (!data.empty()) {
    size_t here;
    uint8_t* out = Find(iova, data.size(), /*write=*/true, &here);
    if (out == nullptr) return false;
    std::memcpy(out, data.data(), here);
    data = data.subspan(here);
    iova += here;
  }
  return true;
}

template <typename T>
T* DmaMap::FindOne(uint64_t iova, bool write) {
  if (!bus_master_) return nullptr;
  size_t here;
  uint8_t* data = Find(iova, sizeof(T), write, &here);
  if (data == nullptr) return nullptr;
  if (here < sizeof(T) || reinterpret_cast<uintptr_t>(data) % sizeof(T) != 0) {
    Bump(counters_.dma_faults);
    return nullptr;
  }
  return reinterpret_cast<T*>(data);
}

bool DmaMap::ReadQuad(uint64_t iova, uint64_t* out) {
  const auto* quad = FindOne<uint64_t>(iova, /*write=*/false);
  if (quad == nullptr) return false;
  *out = __atomic_load_n(quad, __ATOMIC_ACQUIRE);
  return true;
}

bool DmaMap::WriteQuad(uint64_t iova, uint64_t value) {
  auto* quad = FindOne<uint64_t>(iova, /*write=*/true);
  if (quad == nullptr) return false;
  __atomic_store_n(quad, value, __ATOMIC_RELEASE);
  return true;
}

bool DmaMap::ReadWord(uint64_t iova, uint16_t* out) {
  const auto* word = FindOne<uint16_t>(iova, /*write=*/false);
  if (word == nullptr) return false;
  *out = __atomic_load_n(word, __ATOMIC_SEQ_CST);
  return true;
}

bool DmaMap::WriteWord(uint64_t iova, uint16_t value) {
  auto* word = FindOne<uint16_t>(iova, /*write=*/true);
  if (word == nullptr) return false;
  __atomic_store_n(word, value, __ATOMIC_SEQ_CST);
  return true;
}

}  // namespace bulkhead::nic_model
