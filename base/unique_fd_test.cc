#include "base/unique_fd.h"

#include <fcntl.h>

#include <utility>

#include "gtest/gtest.h"

namespace bulkhead {
namespace {

bool IsOpen(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

UniqueFd Null() { return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }

// Shows that a descriptor is closed with its last owner and not before.
TEST(UniqueFd, ClosesOnce) {
  int raw;
  {
    UniqueFd one = Null();
    raw = one.get();
    UniqueFd two = std::move(one);
    EXPECT_FALSE(one.valid());
    EXPECT_TRUE(IsOpen(raw));
    UniqueFd& same = two;
    two = std::move(same);
    EXPECT_TRUE(IsOpen(raw));
  }
  EXPECT_FALSE(IsOpen(raw));
}

// Shows Release, Reset and Duplicate.
TEST(UniqueFd, GivesUpReplacesAndDuplicates) {
  UniqueFd fd = Null();
  const int raw = fd.Release();
  EXPECT_FALSE(fd.valid());
  EXPECT_TRUE(IsOpen(raw));
  fd.Reset(raw);
  const UniqueFd copy = fd.Duplicate();
  EXPECT_NE(copy.get(), raw);
  EXPECT_EQ(::fcntl(copy.get(), F_GETFD), FD_CLOEXEC);
  fd.Reset();
  EXPECT_FALSE(IsOpen(raw));
  EXPECT_TRUE(IsOpen(copy.get()));
  EXPECT_FALSE(UniqueFd().Duplicate().valid());
}

}  // namespace
}  // namespace bulkhead
