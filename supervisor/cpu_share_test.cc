#include "supervisor/cpu_share.h"

#include <unistd.h>

#include "gtest/gtest.h"

namespace bulkhead::supervisor {
namespace {

constexpr uint64_t kElapsedNs = 100'000'000;

// Shows that the kernel's text is understood, a nasty process name included,
// and nonsense is not.
TEST(CpuShare, Parse) {
  const auto use = ParseCpuUse("100 200 3\n", "7 (a) S (b) R 1 7 7 0 -1");
  ASSERT_TRUE(use.has_value());
  EXPECT_EQ(use->run_ns, 100u);
  EXPECT_EQ(use->wait_ns, 200u);
  EXPECT_TRUE(use->runnable);
  EXPECT_FALSE(ParseCpuUse("100 200 3\n", "7 (a) T 1")->runnable);
  EXPECT_FALSE(ParseCpuUse("", "7 (a) R 1").has_value());
  EXPECT_FALSE(ParseCpuUse("1 2\n", "7 (a) R 1").has_value());
  EXPECT_FALSE(ParseCpuUse("1 2 x3 4\n", "7 (a) R 1").has_value());
  EXPECT_FALSE(ParseCpuUse("1 2 3\n", "7 (a) ").has_value());
  EXPECT_FALSE(ParseCpuUse("1 2 3\n", "").has_value());
}

// Shows that this kernel can be read: this very process runs.
TEST(CpuShare, ReadsThisProcess) {
  const auto use = ReadCpuUse(::getpid());
  ASSERT_TRUE(use.has_value());
  EXPECT_TRUE(use->runnable);
  EXPECT_FALSE(ReadCpuUse(0).has_value());
}

// Shows that the first line of the kernel's pressure file is understood.
TEST(CpuShare, ParsePressure) {
  EXPECT_EQ(ParsePressureNs("some avg10=1.00 avg60=0.50 avg300=0.10 "
                            "total=123\nfull avg10=0.00 total=7\n"),
            std::optional<uint64_t>(123'000));
  EXPECT_FALSE(ParsePressureNs("").has_value());
  EXPECT_FALSE(ParsePressureNs("full avg10=0.00 total=7\n").has_value());
  EXPECT_FALSE(ParsePressureNs("some avg10=1.00\n total=7").has_value());
  EXPECT_FALSE(ParsePressureNs("some total=x").has_value());
}

// Shows who counts as starved: one that waited most of the time, whether its
// wait has ended or goes on; not one that ran, slept or was stopped.
TEST(CpuShare, WasStarved) {
  const CpuUse before = {1000, 1000, true};
  const auto after = [](uint64_t ran_ms, uint64_t waited_ms, bool runnable) {
    return CpuUse{1000 + ran_ms * 1'000'000, 1000 + waited_ms * 1'000'000,
                  runnable};
  };
  EXPECT_TRUE(WasStarved(before, after(0, 90, false), kElapsedNs));
  EXPECT_TRUE(WasStarved(before, after(0, 0, true), kElapsedNs));
  EXPECT_FALSE(WasStarved(before, after(0, 0, false), kElapsedNs));
  EXPECT_FALSE(WasStarved(before, after(95, 5, true), kElapsedNs));
  EXPECT_FALSE(WasStarved(before, after(40, 60, true), kElapsedNs));
}

}  // namespace
}  // namespace bulkhead::supervisor
