#include "nic_router/dhcp/lease_memory.h"

#include <gtest/gtest.h>

#include <cstring>

#include "nic_router/dhcp/lease_pool.h"

namespace bulkhead::nic_router::dhcp {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;
constexpr MacAddress kAnna = {2, 0, 0, 0, 0, 1};
constexpr MacAddress kBert = {2, 0, 0, 0, 0, 2};
constexpr LeasePool::Settings kRange = {.domain = 7,
                                        .first = 0x0a000102,
                                        .last = 0x0a000105,
                                        .reserved = 0x0a000101,
                                        .longest_ns = 100 * kSecond};

struct Region {
  alignas(8) std::byte bytes[8 * sizeof(LeaseEntry)] = {};
  std::span<std::byte> span() { return bytes; }
  LeaseEntry* entry(size_t number) {
    return reinterpret_cast<LeaseEntry*>(bytes) + number;
  }
};

// What a router bound, the next one finds: the client has the address still,
// nobody else gets it, and who gave one back gets the same again.
TEST(LeaseMemory, LeasesOutliveTheRouter) {
  Region region;
  {
    LeaseMemory memory(region.span());
    LeasePool pool(kRange, memory, 0);
    ASSERT_TRUE(pool.Bind(kAnna, kRange.first, 50 * kSecond));
    ASSERT_TRUE(pool.Bind(kBert, kRange.last, 50 * kSecond));
    ASSERT_TRUE(pool.Release(kBert, kRange.last, kSecond));
  }
  LeaseMemory memory(region.span());
  EXPECT_EQ(memory.dropped(), 0u);
  LeasePool pool(kRange, memory, 2 * kSecond);
  EXPECT_EQ(pool.dropped(), 0u);
  EXPECT_FALSE(pool.Bind(kBert, kRange.first, 60 * kSecond));
  EXPECT_EQ(pool.Find(kAnna)->state, LeaseState::kBound);
  EXPECT_EQ(pool.Offer(kBert, {}, 60 * kSecond, 2 * kSecond), kRange.last);
}

// A flipped bit anywhere in an entry: that entry is dropped and counted, the
// others stay.
TEST(LeaseMemory, S7_DamagedEntriesAreDropped) {
  for (size_t at = 0; at < sizeof(LeaseEntry); ++at) {
    Region region;
    {
      LeaseMemory memory(region.span());
      LeasePool pool(kRange, memory, 0);
      ASSERT_TRUE(pool.Bind(kAnna, kRange.first, 50 * kSecond));
      ASSERT_TRUE(pool.Bind(kBert, kRange.last, 50 * kSecond));
    }
    region.bytes[at] ^= std::byte{0x10};
    LeaseMemory memory(region.span());
    EXPECT_EQ(memory.dropped(), 1u) << at;
    LeasePool pool(kRange, memory, 0);
    EXPECT_EQ(pool.Find(kAnna), nullptr);
    EXPECT_NE(pool.Find(kBert), nullptr);
  }
}

// Entries whose check value is right but that contradict the configuration or
// each other are not believed either.
TEST(LeaseMemory, S7_EntriesThatDoNotAgreeAreDropped) {
  Region region;
  {
    LeaseMemory memory(region.span());
    LeasePool::Settings wide = kRange;
    wide.last += 10;
    wide.longest_ns = 1000 * kSecond;
    LeasePool pool(wide, memory, 0);
    ASSERT_TRUE(pool.Bind(kAnna, wide.last, 50 * kSecond));     // Range.
    ASSERT_TRUE(pool.Bind(kBert, wide.first, 900 * kSecond));   // Time.
    ASSERT_TRUE(pool.Bind({1}, wide.first + 1, 50 * kSecond));  // Multicast.
    ASSERT_TRUE(pool.Bind({2}, wide.first + 2, 50 * kSecond));  // Good.
  }
  // The good one twice.
  std::memcpy(region.entry(7), region.entry(3), sizeof(LeaseEntry));
  LeaseMemory memory(region.span());
  EXPECT_EQ(memory.dropped(), 0u);
  LeasePool pool(kRange, memory, 0);
  EXPECT_EQ(pool.dropped(), 4u);
  EXPECT_NE(pool.Find({2}), nullptr);
  int leases = 0;
  pool.ForEach([&leases](const LeaseEntry&) { ++leases; });
  EXPECT_EQ(leases, 1);
}

// Two domains share the memory; one that is configured no longer leaves its
// part to the others, and a full memory makes room by forgetting formers.
TEST(LeaseMemory, DomainsShareIt) {
  Region region;
  LeaseMemory memory(region.span().first(2 * sizeof(LeaseEntry)));
  ASSERT_EQ(memory.capacity(), 2u);
  LeasePool pool(kRange, memory, 0);
  {
    LeasePool::Settings other = kRange;
    other.domain = 8;
    LeasePool others(other, memory, 0);
    ASSERT_TRUE(others.Bind(kAnna, other.first, kSecond));
  }
  ASSERT_TRUE(pool.Bind(kAnna, kRange.first, kSecond));
  EXPECT_EQ(pool.Offer(kBert, {}, kSecond, 0), std::nullopt);
  ASSERT_TRUE(pool.Release(kAnna, kRange.first, 0));
  EXPECT_TRUE(pool.Offer(kBert, {}, kSecond, 0).has_value());
  EXPECT_EQ(pool.Find(kAnna), nullptr);
  const uint32_t keep[] = {7};
  memory.Keep(keep);
  EXPECT_TRUE(pool.Bind(kAnna, kRange.first, kSecond));
}

}  // namespace
}  // namespace bulkhead::nic_router::dhcp
