// The tables against plain models of them: what was put in is found, bounds
// hold, and what was taken out is gone.
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "nic_router/engine/flow_table.h"
#include "nic_router/engine/fragment_table.h"
#include "nic_router/engine/mac_table.h"
#include "nic_router/engine/neighbour_table.h"
#include "nic_router/engine/token_bucket.h"

namespace bulkhead::nic_router {
namespace {

Flow FlowOf(uint32_t number) {
  Flow flow{};
  flow.key[0] = {.source = number,
                 .destination = 1,
                 .source_port = 5,
                 .destination_port = 6,
                 .protocol = 17,
                 .version = 4,
                 .domain = 0};
  flow.key[1] = {.source = 1,
                 .destination = number,
                 .source_port = 6,
                 .destination_port = 5,
                 .protocol = 17,
                 .version = 4,
                 .domain = 1};
  flow.state = FlowState::kOpen;
  return flow;
}

// Any order of inserting and erasing, at every load up to full: each flow is
// found by both keys as long as it is there, and not after.
TEST(FlowTable, AgainstAModel) {
  for (const uint32_t capacity : {1u, 2u, 4u, 64u, 500u}) {
    std::vector<Flow> entries(capacity);
    uint32_t used = 0;
    FlowTable table(entries, used, 12345, 0);
    std::map<uint32_t, uint32_t> model;  // Key to number.
    std::mt19937 random(capacity);
    for (int step = 0; step < 20000; ++step) {
      const uint32_t key = 2 + random() % (capacity * 2);
      const auto at = model.find(key);
      if (at != model.end()) {
        if (random() % 2 == 0) {
          table.Erase(at->second);
          model.erase(at);
        }
      } else if (!table.full()) {
        model[key] = table.Insert(FlowOf(key), 0);
      }
      ASSERT_EQ(table.size(), model.size());
      ASSERT_TRUE(model.empty() || used > 0);
      ASSERT_LE(used, capacity);
      const uint32_t probe = 2 + random() % (capacity * 2);
      for (uint32_t direction = 0; direction < 2; ++direction) {
        const PacketKey packet{.key = FlowOf(probe).key[direction]};
        const FlowRef found = table.Find(packet, table.Hash(packet));
        const auto expected = model.find(probe);
        ASSERT_EQ(static_cast<bool>(found), expected != model.end());
        if (!found) continue;
        ASSERT_EQ(found.flow(), expected->second);
        ASSERT_EQ(found.direction(), direction);
      }
    }
  }
}

// What a successor has to read is as much as was in use at a time, and less
// again after it has discarded what is not; entries beyond are overwritten
// whatever lies in them.
TEST(FlowTable, OnlyWhatWasUsedIsReadAgain) {
  std::vector<Flow> entries(64);
  for (Flow& entry : entries) entry = FlowOf(7);
  uint32_t used = 0;
  FlowTable table(entries, used, 1, 0);
  for (uint32_t i = 0; i < 10; ++i) table.Erase(table.Insert(FlowOf(2), 0));
  EXPECT_EQ(used, 1u);
  std::vector<uint32_t> numbers;
  for (uint32_t key = 2; key < 12; ++key) {
    numbers.push_back(table.Insert(FlowOf(key), 0));
  }
  EXPECT_EQ(used, 10u);
  for (uint32_t i = 3; i < 10; ++i) table.Erase(numbers[i]);
  EXPECT_EQ(used, 10u);
  table.StartAdoption();
  for (uint32_t i = table.end(); i-- > 0;) {
    if (entries[i].check != 0 && i != 1) {
      EXPECT_TRUE(table.Adopt(i, 0));
    } else {
      table.Discard(i);
    }
  }
  EXPECT_EQ(used, 3u);
  EXPECT_EQ(table.size(), 2u);
  EXPECT_EQ(table.Insert(FlowOf(20), 0), 1u);
  EXPECT_EQ(table.Insert(FlowOf(21), 0), 3u);
  EXPECT_EQ(used, 4u);
}

// Links end within a second or so of their time, used ones later, in whatever
// order; a jump of the clock skips none.
TEST(FlowTable, TheWheel) {
  std::vector<Flow> entries(64);
  uint32_t used = 0;
  FlowTable table(entries, used, 1, 5000);
  table.set_timeouts({.udp_idle_s = 30});
  std::map<uint32_t, uint64_t> seen;  // Number to last use.
  std::mt19937 random(3);
  uint64_t now_ms = 5000;
  for (int step = 0; step < 3000; ++step) {
    now_ms += step % 100 == 99 ? 700'000 : random() % 3000;
    table.Expire(now_ms, [&](uint32_t number) {
      ASSERT_EQ(seen.count(number), 1u);
      EXPECT_GE(now_ms - seen[number], 30'000u);
      seen.erase(number);
    });
    for (const auto& [number, used] : seen) {
      ASSERT_LT(now_ms - used, 32'000u) << number;
    }
    ASSERT_EQ(table.size(), seen.size());
    ASSERT_EQ(table.NextDueS() != 0, !seen.empty());
    if (!table.full()) {
      const uint32_t number =
          table.Insert(FlowOf(static_cast<uint32_t>(step) + 2), now_ms);
      seen[number] = now_ms;
    }
    if (!seen.empty() && random() % 2 == 0) {
      auto any = std::next(seen.begin(), random() % seen.size());
      table[any->first].last_seen_ms = now_ms;
      any->second = now_ms;
    }
    if (!seen.empty() && random() % 8 == 0) {
      auto any = std::next(seen.begin(), random() % seen.size());
      table.Erase(any->first);
      seen.erase(any);
    }
  }
}

// A flood of MACs takes no more room than there is, and old ones are forgotten.
TEST(MacTable, BoundedAndAgeing) {
  MacTable table(9);
  const auto mac = [](uint32_t i) {
    MacAddress out = {2};
    std::memcpy(&out[1], &i, 4);
    return out;
  };
  for (uint32_t i = 0; i < 100'000; ++i) table.Learn(1, mac(i), 7, 10);
  size_t found = 0;
  for (uint32_t i = 0; i < 100'000; ++i) {
    found += table.Find(1, mac(i), 10) == 7 ? 1 : 0;
  }
  EXPECT_LE(found, MacTable::kEntries);
  EXPECT_GT(found, MacTable::kEntries / 2);
  table.Learn(1, mac(5), 8, 20);
  EXPECT_EQ(table.Find(1, mac(5), 20), 8);
  EXPECT_EQ(table.Find(2, mac(5), 20), kNoAttachment);
  EXPECT_EQ(table.Find(1, mac(5), 20 + MacTable::kAgeingS), kNoAttachment);
}

// Addresses that are only asked for push out no known one.
TEST(NeighbourTable, AskingCostsNoKnownOne) {
  std::vector<Neighbour> entries(kNeighbours);
  NeighbourTable table(entries, 4);
  std::vector<uint32_t> known;
  for (uint32_t i = 0; i < 3000; ++i) {
    if (table.Learn(0, 1, 4, AddressOf(i), {2}, 3, 0, 100 + i) !=
        kNoNeighbour) {
      known.push_back(i);
    }
  }
  size_t before = 0;
  for (const uint32_t i : known) {
    before += table.Find(1, 4, AddressOf(i)) != kNoNeighbour ? 1 : 0;
  }
  for (uint32_t i = 10'000; i < 40'000; ++i) {
    (void)table.AddAsked(0, 1, 4, AddressOf(i));
  }
  size_t after = 0;
  for (const uint32_t i : known) {
    after += table.Find(1, 4, AddressOf(i)) != kNoNeighbour ? 1 : 0;
  }
  EXPECT_EQ(after, before);
  EXPECT_GT(after, 2500u);
}

// Runs that have passed, against a set of bytes.
TEST(FragmentTable, RunsAgainstAModel) {
  std::mt19937 random(7);
  for (int turn = 0; turn < 2000; ++turn) {
    FragmentTable::Entry entry;
    std::set<uint32_t> passed;
    for (int step = 0; step < 30; ++step) {
      const uint32_t begin = random() % 40;
      const uint32_t end = begin + 1 + random() % 10;
      bool overlaps = false;
      for (uint32_t i = begin; i < end; ++i) overlaps |= passed.count(i) != 0;
      const DropReason reason = FragmentTable::Note(entry, begin, end);
      ASSERT_EQ(reason == DropReason::kFragOverlap, overlaps);
      if (reason == DropReason::kNone) {
        for (uint32_t i = begin; i < end; ++i) passed.insert(i);
      }
      ASSERT_LE(entry.runs, FragmentTable::kRuns);
    }
  }
}

// Over time a bucket gives its rate, however often it is filled.
TEST(TokenBucket, GivesItsRate) {
  for (const uint64_t step_ns : {1'000u, 33'333u, 7'000'000u}) {
    TokenBucket bucket(1'000'000, 5'000, 0);
    bucket.Spend(5'000);
    uint64_t given = 0;
    uint64_t now = 0;
    while (now < 1'000'000'000) {
      now += step_ns;
      bucket.Fill(now);
      while (bucket.any()) {
        bucket.Spend(1);
        ++given;
      }
    }
    // Beyond its burst, nothing gathers.
    EXPECT_NEAR(static_cast<double>(given),
                step_ns > 5'000'000 ? 715'000 : 1'000'000, 5'000)
        << step_ns;
  }
  EXPECT_TRUE(TokenBucket().any());
}

}  // namespace
}  // namespace bulkhead::nic_router
