// Shows that the pacer sends exactly the rate, whatever the tick, and does not
// make up for a stall.
#include "clients/nic_traffic/pacer.h"

#include <gtest/gtest.h>

namespace bulkhead::nic_traffic {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;

TEST(Pacer, OneSecondHasExactlyTheRate) {
  for (const uint64_t rate : {1u, 7u, 999u, 5000u, 123457u}) {
    for (const uint64_t tick_ns : {1'000u, 200'000u, 1'000'000u}) {
      Pacer pacer(500, rate, tick_ns, 1'000'000);
      uint64_t sent = 0;
      for (uint64_t now = 500; now <= 500 + kSecond;
           now = pacer.NextDueNs(now)) {
        const uint64_t due = pacer.Due(now);
        pacer.Took(due);
        sent += due;
      }
      EXPECT_EQ(sent, rate) << "tick " << tick_ns;
      EXPECT_EQ(pacer.skipped(), 0u);
    }
  }
}

TEST(Pacer, SomethingIsDueWhenItSaysSo) {
  Pacer pacer(0, 300, 1'000'000, 100);
  uint64_t now = 0;
  for (int i = 0; i < 1000; ++i) {
    now = pacer.NextDueNs(now);
    const uint64_t due = pacer.Due(now);
    EXPECT_GE(due, 1u);
    pacer.Took(due);
  }
}

TEST(Pacer, WhatAStallHeldBackIsCountedAndNotSentAtOnce) {
  Pacer pacer(0, 1000, 1'000'000, 32);
  EXPECT_EQ(pacer.Due(kSecond), 32u);
  EXPECT_EQ(pacer.skipped(), 968u);
  pacer.Took(10);
  EXPECT_EQ(pacer.Due(kSecond), 22u);
  EXPECT_EQ(pacer.skipped(), 968u);
}

}  // namespace
}  // namespace bulkhead::nic_traffic
