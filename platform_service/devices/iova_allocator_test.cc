// Shows that IO addresses never overlap, leave a gap that faults, and come back
// after a restart as they were.
#include "platform_service/devices/iova_allocator.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace bulkhead::platform {
namespace {

TEST(IovaAllocator, S3_AreasNeverTouchEachOther) {
  IovaAllocator allocator;
  std::map<uint64_t, uint64_t> held;
  std::mt19937 random(7);
  for (int step = 0; step < 5000; ++step) {
    if (!held.empty() && random() % 3 == 0) {
      auto it = held.begin();
      std::advance(it, random() % held.size());
      allocator.Free(it->first);
      held.erase(it);
      continue;
    }
    const uint64_t bytes = 4096 * (1 + random() % 64);
    const auto iova = allocator.Allocate(bytes);
    ASSERT_TRUE(iova.ok());
    const auto next = held.lower_bound(*iova);
    if (next != held.end()) {
      ASSERT_GE(next->first, *iova + bytes + 4096);
    }
    if (next != held.begin()) {
      const auto before = std::prev(next);
      ASSERT_GE(*iova, before->first + before->second + 4096);
    }
    held[*iova] = bytes;
  }
}

TEST(IovaAllocator, RefusesSizesThatAreNone) {
  IovaAllocator allocator;
  for (const uint64_t bytes :
       {uint64_t{0}, uint64_t{1}, uint64_t{4095}, uint64_t{4097},
        uint64_t{1} << 40, ~uint64_t{0}, ~uint64_t{0} - 4095}) {
    EXPECT_EQ(allocator.Allocate(bytes).status().code(),
              absl::StatusCode::kInvalidArgument)
        << bytes;
  }
}

TEST(IovaAllocator, SaysWhenItIsFull) {
  IovaAllocator allocator;
  absl::Status status;
  for (int i = 0; i < 64 && status.ok(); ++i) {
    status = allocator.Allocate(uint64_t{16} << 30).status();
  }
  EXPECT_TRUE(absl::IsResourceExhausted(status));
}

TEST(IovaAllocator, ReservesWhatWasHeldBefore) {
  IovaAllocator allocator;
  ASSERT_TRUE(allocator.Reserve(1 << 20, 8192).ok());
  EXPECT_FALSE(allocator.Reserve((1 << 20) + 4096, 4096).ok());
  EXPECT_FALSE(allocator.Reserve((1 << 20) + 8192, 4096).ok());  // The gap.
  EXPECT_FALSE(allocator.Reserve(~uint64_t{0} - 4095, 4096).ok());
  EXPECT_FALSE(allocator.Reserve(123, 4096).ok());
  EXPECT_TRUE(allocator.Reserve((1 << 20) + 12288, 4096).ok());
  EXPECT_NE(*allocator.Allocate(4096), uint64_t{1} << 20);
}

}  // namespace
}  // namespace bulkhead::platform
