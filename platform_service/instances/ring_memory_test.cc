// Shows who may have which ring memory when: quotas, old areas that never come
// back, spare ones of the right sizes.
#include "platform_service/instances/ring_memory.h"

#include <gtest/gtest.h>

#include <cstring>

#include "platform_service/testing/fake_device.h"

namespace bulkhead::platform {
namespace {

class RingMemoryTest : public testing::Test {
 protected:
  RingMemoryTest() { nic_.Plug(); }
  DeviceOwner& device() { return *nic_.device(); }

  FakeNic nic_;
  RingMemory rings_{"rings", 1 << 20};
};

TEST_F(RingMemoryTest, QuotaIsOfBytesAndOfAreas) {
  EXPECT_TRUE(absl::IsInvalidArgument(rings_.Allocate(device(), 0).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(rings_.Allocate(device(), 100).status()));
  EXPECT_TRUE(
      absl::IsResourceExhausted(rings_.Allocate(device(), 2 << 20).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      rings_.Allocate(device(), ~uint64_t{0}).status()));
  int areas = 0;
  while (rings_.Allocate(device(), 4096).ok()) ASSERT_LT(++areas, 100);
  EXPECT_EQ(areas, 8);
}

TEST_F(RingMemoryTest, FreedMemoryMayBeAskedForAgain) {
  for (int i = 0; i < 1000; ++i) {
    const auto area = rings_.Allocate(device(), 1 << 20);
    ASSERT_TRUE(area.ok());
    ASSERT_TRUE(rings_.Free(device(), (*area)->iova).ok());
  }
  EXPECT_TRUE(absl::IsNotFound(rings_.Free(device(), 12345)));
  EXPECT_TRUE(nic_.state.maps.empty());
}

TEST_F(RingMemoryTest, S4_OldAreasAreGoneAndNewOnesZeroed) {
  ASSERT_TRUE(rings_.Allocate(device(), 8192).ok());
  ASSERT_TRUE(rings_.Allocate(device(), 4096).ok());
  ASSERT_TRUE(rings_.Prepare(device()).ok());
  const uint64_t old_iova = rings_.current()[0].iova;
  std::memset(rings_.spare()[0].view.data(), 0xff, 8192);
  ASSERT_TRUE(rings_.Renew(device()).ok());
  ASSERT_EQ(rings_.current().size(), 2u);
  EXPECT_EQ(rings_.current()[0].bytes, 8192u);
  EXPECT_NE(rings_.current()[0].iova, old_iova);
  const auto view = Mapping::MapSealed(rings_.current()[0].memory.get(), 8192,
                                       Access::kReadOnly);
  ASSERT_TRUE(view.ok());
  for (size_t i = 0; i < 8192; ++i) ASSERT_EQ(view->data()[i], 0);
  const auto unmapped = rings_.UnmapOld(device());
  ASSERT_TRUE(unmapped.ok());
  EXPECT_EQ(*unmapped, 2u);
  EXPECT_EQ(nic_.state.maps.count(old_iova), 0u);
  EXPECT_EQ(nic_.state.maps.size(), 2u);
}

TEST_F(RingMemoryTest, GenerationsDoNotPileUpMemory) {
  ASSERT_TRUE(rings_.Allocate(device(), 8192).ok());
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(rings_.Renew(device()).ok());
    ASSERT_TRUE(rings_.UnmapOld(device()).ok());
    ASSERT_TRUE(rings_.Prepare(device()).ok());
  }
  EXPECT_EQ(nic_.state.maps.size(), 2u);
}

}  // namespace
}  // namespace bulkhead::platform
