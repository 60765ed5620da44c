// Shows that each arrival is classed once, that losses stay countable in
// bounded memory, and that the window agrees with a set on random streams.
#include "clients/nic_traffic/sequence_window.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <vector>

namespace bulkhead::nic_traffic {
namespace {

TEST(SequenceWindow, InOrder) {
  SequenceWindow window(64);
  for (uint64_t i = 0; i < 1000; ++i) {
    EXPECT_EQ(window.Add(i), Arrival::kInOrder);
  }
  EXPECT_EQ(window.unique(), 1000u);
  EXPECT_EQ(window.end(), 1000u);
}

TEST(SequenceWindow, TellsReorderedFromDuplicated) {
  SequenceWindow window(64);
  EXPECT_EQ(window.Add(0), Arrival::kInOrder);
  EXPECT_EQ(window.Add(3), Arrival::kInOrder);
  EXPECT_EQ(window.Add(1), Arrival::kReordered);
  EXPECT_EQ(window.Add(1), Arrival::kDuplicated);
  EXPECT_EQ(window.Add(3), Arrival::kDuplicated);
  EXPECT_EQ(window.unique(), 3u);  // 2 is missing.
  EXPECT_EQ(window.end() - window.unique(), 1u);
}

TEST(SequenceWindow, OldestRememberedAndFirstForgotten) {
  SequenceWindow window(64);
  window.Add(100);
  EXPECT_EQ(window.Add(37), Arrival::kReordered);
  EXPECT_EQ(window.Add(36), Arrival::kStale);
}

TEST(SequenceWindow, AJumpOverTheWholeWindowForgetsItAll) {
  SequenceWindow window(64);
  for (uint64_t i = 0; i < 64; ++i) window.Add(i);
  EXPECT_EQ(window.Add(1'000'000), Arrival::kInOrder);
  EXPECT_EQ(window.Add(999'999), Arrival::kReordered);
  EXPECT_EQ(window.unique(), 66u);
}

TEST(SequenceWindow, AgreesWithASetOnShuffledStreams) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 50; ++round) {
    SequenceWindow window(1024);
    std::vector<uint64_t> sent;
    for (uint64_t i = 0; i < 5000; ++i) {
      if (random() % 10 == 0) continue;  // Lost.
      sent.push_back(i);
      if (random() % 20 == 0) sent.push_back(i);  // Doubled.
    }
    for (size_t i = 0; i + 8 < sent.size(); ++i) {
      std::swap(sent[i], sent[i + random() % 8]);
    }
    std::set<uint64_t> seen;
    uint64_t doubled = 0;
    for (const uint64_t sequence : sent) {
      const bool is_new = seen.insert(sequence).second;
      const Arrival arrival = window.Add(sequence);
      EXPECT_EQ(is_new,
                arrival == Arrival::kInOrder || arrival == Arrival::kReordered);
      if (!is_new) ++doubled;
    }
    EXPECT_EQ(window.unique(), seen.size());
    EXPECT_EQ(window.duplicated(), doubled);
    EXPECT_EQ(window.stale(), 0u);
  }
}

}  // namespace
}  // namespace bulkhead::nic_traffic
