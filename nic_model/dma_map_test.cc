// Which maps of host memory are taken, case by case.
#include "nic_model/dma_map.h"

#include <cerrno>

#include "base/shared_memory.h"
#include "gtest/gtest.h"

namespace bulkhead::nic_model {
namespace {

TEST(DmaMap, RefusesOverlapsAndMissingBytes) {
  PortCounters counters = {};
  DmaMap map(counters);
  const auto memory = [] { return *CreateSealedMemory("map", 4 * kPageBytes); };
  constexpr uint64_t kAt = 0x10000;
  ASSERT_EQ(map.Map(kAt, 8192, memory(), 0, true, true), 0);
  const struct {
    const char* name;
    uint64_t iova, bytes, offset;
    int error;
  } kCases[] = {
      {"same", kAt, 8192, 0, EEXIST},
      {"inside", kAt + 4096, 1, 0, EEXIST},
      {"over the start", kAt - 4096, 4097, 0, EEXIST},
      {"over the end", kAt + 8191, 4096, 0, EEXIST},
      {"around", kAt - 4096, 16384, 0, EEXIST},
      {"beyond the memory", 0x90000, 16385, 0, EINVAL},
      {"offset beyond the memory", 0x90000, 1, 1 << 20, EINVAL},
      {"wraps", UINT64_MAX - 10, 4096, 0, EINVAL},
      {"empty", 0x90000, 0, 0, EINVAL},
      {"before", kAt - 4096, 4096, 0, 0},
      {"behind", kAt + 8192, 4096, 0, 0},
      {"last byte of all", UINT64_MAX - 4095, 4096, 0, 0},
  };
  for (const auto& c : kCases) {
    EXPECT_EQ(map.Map(c.iova, c.bytes, memory(), c.offset, true, true), c.error)
        << c.name;
  }
  EXPECT_EQ(map.Unmap(kAt, 4096), ENOENT);
  EXPECT_EQ(map.Unmap(kAt, 8192), 0);
}

}  // namespace
}  // namespace bulkhead::nic_model
