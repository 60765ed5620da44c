#include "platform_service/devices/iova_allocator.h"

#include "absl/strings/str_cat.h"
#include "base/shared_memory.h"

namespace bulkhead::platform {
namespace {

// Above the addresses that a forgotten descriptor of zeroes points to.
constexpr uint64_t kFirst = 1 << 20;
// 82574L descriptors carry 64 bits, but IOMMUs have at least 39.
constexpr uint64_t kEnd = uint64_t{1} << 39;
constexpr uint64_t kLargest = uint64_t{16} << 30;
constexpr uint64_t kGuardBytes = kPageBytes;

bool IsArea(uint64_t bytes) {
  return bytes != 0 && bytes % kPageBytes == 0 && bytes <= kLargest;
}

}  // namespace

absl::StatusOr<uint64_t> IovaAllocator::Allocate(uint64_t bytes) {
  if (!IsArea(bytes)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "allocate IO addresses: ", bytes,
        " bytes is not a multiple of 4096 between 4096 and 16 GiB"));
  }
  const uint64_t wanted = bytes + kGuardBytes;
  uint64_t start = kFirst;
  for (const auto& [held, held_bytes] : held_) {
    if (held - start >= wanted) break;
    start = held + held_bytes;
  }
  if (kEnd - start < wanted) {
    return absl::ResourceExhaustedError(
        "allocate IO addresses: the instance's address space is full");
  }
  held_[start] = wanted;
  return start;
}

absl::Status IovaAllocator::Reserve(uint64_t iova, uint64_t bytes) {
  if (!IsArea(bytes) || iova % kPageBytes != 0 || iova < kFirst ||
      iova >= kEnd || kEnd - iova < bytes + kGuardBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "reserve IO addresses: ", bytes, " bytes at ", iova, " is no area"));
  }
  const auto next = held_.upper_bound(iova);
  if (next != held_.end() && next->first - iova < bytes + kGuardBytes) {
    return absl::AlreadyExistsError("reserve IO addresses: they are held");
  }
  if (next != held_.begin()) {
    const auto before = std::prev(next);
    if (before->first + before->second > iova) {
      return absl::AlreadyExistsError("reserve IO addresses: they are held");
    }
  }
  held_[iova] = bytes + kGuardBytes;
  return absl::OkStatus();
}

}  // namespace bulkhead::platform
