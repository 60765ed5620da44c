// Shows that counts survive the generations that made them.
#include "platform_service/instances/counter_totals.h"

#include <gtest/gtest.h>

namespace bulkhead::platform {
namespace {

uint64_t Named(const CounterTotals& counters, absl::string_view name) {
  for (const auto& [key, value] : counters.Read()) {
    if (key == name) return value;
  }
  return ~uint64_t{0};
}

TEST(CounterTotals, S8_SumOverGenerationsAndRestarts) {
  auto counters = CounterTotals::Create();
  ASSERT_TRUE(counters.ok());
  auto page =
      Mapping::MapSealed(counters->page(), kPageBytes, Access::kReadWrite);
  ASSERT_TRUE(page.ok());
  auto* driver = page->As<nic_driver::DriverCounters>();
  driver->rx_packets = 5;
  EXPECT_EQ(Named(*counters, "rx_packets"), 5u);
  counters->Fold();
  EXPECT_EQ(driver->rx_packets.load(), 0u);
  driver->rx_packets = 2;
  EXPECT_EQ(Named(*counters, "rx_packets"), 7u);
  auto restored = CounterTotals::Restore(
      UniqueFd(::fcntl(counters->page(), F_DUPFD_CLOEXEC, 0)),
      {counters->totals().begin(), counters->totals().end()});
  ASSERT_TRUE(restored.ok());
  EXPECT_EQ(Named(*restored, "rx_packets"), 7u);
  EXPECT_EQ(Named(*restored, "tx_packets"), 0u);
}

// Shows that what the threads of several queues count is one sum.
TEST(CounterTotals, S8_SumOverQueues) {
  auto counters = CounterTotals::Create();
  ASSERT_TRUE(counters.ok());
  auto page =
      Mapping::MapSealed(counters->page(), kPageBytes, Access::kReadWrite);
  ASSERT_TRUE(page.ok());
  for (const size_t queue : {size_t{0}, nic_driver::kMaxCounterBlocks - 1}) {
    page->As<nic_driver::DriverCounters>(queue * nic_driver::kCounterBlockBytes)
        ->tx_packets = 3;
  }
  EXPECT_EQ(Named(*counters, "tx_packets"), 6u);
  counters->Fold();
  EXPECT_EQ(Named(*counters, "tx_packets"), 6u);
}

}  // namespace
}  // namespace bulkhead::platform
