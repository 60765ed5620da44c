#include "base/shared_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "gtest/gtest.h"

namespace bulkhead {
namespace {

// Shows that fresh memory is zeroed, private to its owner, and shared between
// its mappings.
TEST(SharedMemory, IsZeroedAndShared) {
  const auto fd = CreateSealedMemory("test", 2 * kPageBytes);
  ASSERT_TRUE(fd.ok());
  auto one = Mapping::MapSealed(fd->get(), 2 * kPageBytes, Access::kReadWrite);
  auto two = Mapping::MapSealed(fd->get(), 2 * kPageBytes, Access::kReadOnly);
  ASSERT_TRUE(one.ok() && two.ok());
  for (size_t i = 0; i < one->bytes(); ++i) ASSERT_EQ(one->data()[i], 0);
  *one->As<uint32_t>(kPageBytes) = 4711;
  EXPECT_EQ(*two->As<uint32_t>(kPageBytes), 4711u);
  struct stat info;
  ASSERT_EQ(::fstat(fd->get(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

// Shows that nobody can change the size any more, nor the seals.
TEST(SharedMemory, S7_SizeIsSealed) {
  const auto fd = CreateSealedMemory("test", kPageBytes);
  EXPECT_NE(::ftruncate(fd->get(), 0), 0);
  EXPECT_NE(::ftruncate(fd->get(), 2 * kPageBytes), 0);
  EXPECT_NE(::fcntl(fd->get(), F_ADD_SEALS, F_SEAL_WRITE), 0);
}

// Shows that whatever a peer hands over in place of sealed memory of the right
// size is refused before it is mapped.
TEST(SharedMemory, S7_OnlySealedMemoryOfTheRightSizeIsMapped) {
  const auto fd = CreateSealedMemory("test", kPageBytes);
  for (const size_t bytes : {size_t{0}, kPageBytes - 1, 2 * kPageBytes}) {
    EXPECT_TRUE(absl::IsInvalidArgument(
        Mapping::MapSealed(fd->get(), bytes, Access::kReadOnly).status()));
  }
  const UniqueFd unsealed(::memfd_create("x", MFD_ALLOW_SEALING | MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(unsealed.get(), kPageBytes), 0);
  EXPECT_FALSE(
      Mapping::MapSealed(unsealed.get(), kPageBytes, Access::kReadOnly).ok());
  ASSERT_EQ(::fcntl(unsealed.get(), F_ADD_SEALS, F_SEAL_SHRINK), 0);
  EXPECT_FALSE(
      Mapping::MapSealed(unsealed.get(), kPageBytes, Access::kReadOnly).ok());
  const UniqueFd device(::open("/dev/zero", O_RDWR | O_CLOEXEC));
  EXPECT_FALSE(
      Mapping::MapSealed(device.get(), kPageBytes, Access::kReadOnly).ok());
  EXPECT_FALSE(Mapping::MapSealed(-1, kPageBytes, Access::kReadOnly).ok());
}

// Shows that a read-only descriptor cannot be mapped for writing, so that the
// page tables enforce who writes.
TEST(SharedMemory, ReadOnlyStaysReadOnly) {
  const auto fd = CreateSealedMemory("test", kPageBytes);
  const auto read_only = ReopenReadOnly(fd->get());
  ASSERT_TRUE(read_only.ok());
  EXPECT_TRUE(
      Mapping::MapSealed(read_only->get(), kPageBytes, Access::kReadOnly).ok());
  EXPECT_FALSE(
      Mapping::MapSealed(read_only->get(), kPageBytes, Access::kReadWrite)
          .ok());
  EXPECT_FALSE(ReopenReadOnly(-1).ok());
}

// Shows that a mapping is given back exactly once, wherever it was moved.
TEST(Mapping, MovesItsOwnership) {
  const auto fd = CreateSealedMemory("test", kPageBytes);
  Mapping one = *Mapping::MapSealed(fd->get(), kPageBytes, Access::kReadWrite);
  uint8_t* const data = one.data();
  Mapping two = std::move(one);
  EXPECT_FALSE(one.valid());
  EXPECT_EQ(two.data(), data);
  {
    Mapping three;
    three = std::move(two);
    EXPECT_EQ(three.data(), data);
  }
  unsigned char resident;
  EXPECT_NE(::mincore(data, kPageBytes, &resident), 0);
}

// Shows the rounding at its edges.
TEST(SharedMemory, RoundsUpToPages) {
  EXPECT_EQ(RoundUpToPage(0), 0u);
  EXPECT_EQ(RoundUpToPage(1), kPageBytes);
  EXPECT_EQ(RoundUpToPage(kPageBytes), kPageBytes);
  EXPECT_EQ(RoundUpToPage(kPageBytes + 1), 2 * kPageBytes);
}

}  // namespace
}  // namespace bulkhead
