#include "supervisor/descriptor_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <utility>

#include "gtest/gtest.h"

namespace bulkhead::supervisor {
namespace {

DescriptorStore::Entry EntryOf(std::string state, int fds,
                               int* last = nullptr) {
  DescriptorStore::Entry entry;
  entry.state = std::move(state);
  for (int i = 0; i < fds; ++i) {
    entry.fds.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (last != nullptr) *last = entry.fds.back().get();
  }
  return entry;
}

bool IsOpen(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

// Shows that the descriptors live exactly as long as their entry.
TEST(DescriptorStore, OwnsItsDescriptors) {
  DescriptorStore store({});
  int first;
  ASSERT_TRUE(store.Park("a", EntryOf("1", 1, &first)).ok());
  EXPECT_TRUE(IsOpen(first));
  store.Unpark("unknown");
  EXPECT_TRUE(IsOpen(first));
  // A message under way keeps them a little longer.
  auto lent = store.entries().at("a");
  store.Unpark("a");
  EXPECT_TRUE(IsOpen(first));
  lent.reset();
  EXPECT_FALSE(IsOpen(first));
  EXPECT_EQ(store.fds(), 0u);
}

// Shows that each limit refuses with figures, keeps what was there, and that
// replacing an entry counts only the difference.
TEST(DescriptorStore, QuotaHolds) {
  DescriptorStore store({.entries = 2, .fds = 4, .state_bytes = 10});
  ASSERT_TRUE(store.Park("a", EntryOf("12345", 3)).ok());
  const absl::Status fds = store.Park("b", EntryOf("", 2));
  EXPECT_EQ(fds.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_NE(fds.message().find("5 descriptors"), std::string::npos);
  EXPECT_FALSE(store.Park("b", EntryOf("123456", 0)).ok());
  ASSERT_TRUE(store.Park("b", EntryOf("", 1)).ok());
  EXPECT_FALSE(store.Park("c", EntryOf("", 0)).ok());
  EXPECT_FALSE(store.Park("a", EntryOf("", 4)).ok());
  EXPECT_EQ(store.entries().at("a")->state, "12345");
  ASSERT_TRUE(store.Park("a", EntryOf("1234567890", 2)).ok());
  EXPECT_EQ(store.fds(), 3u);
}

}  // namespace
}  // namespace bulkhead::supervisor
