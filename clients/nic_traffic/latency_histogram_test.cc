// Shows that quantiles err by less than one part in 32, upwards, for values of
// every size.
#include "clients/nic_traffic/latency_histogram.h"

#include <gtest/gtest.h>

namespace bulkhead::nic_traffic {
namespace {

TEST(LatencyHistogram, EmptyHasNothing) {
  LatencyHistogram histogram;
  EXPECT_EQ(histogram.Quantile(0.5), 0u);
  EXPECT_EQ(histogram.max(), 0u);
  EXPECT_EQ(histogram.min(), 0u);
}

TEST(LatencyHistogram, OneValueOfEverySize) {
  for (unsigned bits = 0; bits < 64; ++bits) {
    for (const uint64_t value :
         {uint64_t{1} << bits, (uint64_t{1} << bits) - 1,
          (uint64_t{1} << bits) + (uint64_t{1} << bits) / 3}) {
      LatencyHistogram histogram;
      histogram.Add(value);
      histogram.Add(~uint64_t{0});
      const uint64_t median = histogram.Quantile(0.5);
      EXPECT_GE(median, value);
      EXPECT_LE(median - value, value / 32) << value;
    }
  }
}

TEST(LatencyHistogram, QuantilesOfAThousandValues) {
  LatencyHistogram histogram;
  for (uint64_t i = 1; i <= 1000; ++i) histogram.Add(i * 1000);
  EXPECT_NEAR(static_cast<double>(histogram.Quantile(0.5)), 500e3, 16e3);
  EXPECT_NEAR(static_cast<double>(histogram.Quantile(0.99)), 990e3, 31e3);
  EXPECT_EQ(histogram.Quantile(1.0), 1'000'000u);
  EXPECT_EQ(histogram.max(), 1'000'000u);
  EXPECT_EQ(histogram.min(), 1'000u);
  EXPECT_EQ(histogram.count(), 1000u);
}

}  // namespace
}  // namespace bulkhead::nic_traffic
