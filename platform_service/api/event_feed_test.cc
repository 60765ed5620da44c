// Shows that events go from one thread to several watchers, each of which sees
// every event once and in order, and that replays are ignored.
#include "platform_service/api/event_feed.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/event_loop.h"
#include "platform_service/api/mailbox.h"

namespace bulkhead::platform {
namespace {

supervisor::Event Numbered(uint64_t sequence) {
  supervisor::Event event;
  event.set_sequence(sequence);
  return event;
}

TEST(EventFeed, EveryWatcherSeesEveryEventOnce) {
  EventFeed feed;
  constexpr uint64_t kEvents = 3000;
  std::vector<std::thread> watchers;
  for (int i = 0; i < 3; ++i) {
    watchers.emplace_back([&feed] {
      uint64_t after = 0;
      while (after < kEvents) {
        for (const supervisor::Event& event : feed.After(after, 100)) {
          ASSERT_EQ(event.sequence(), after + 1);
          after = event.sequence();
        }
        if (after < kEvents) feed.Wait(after, std::chrono::seconds(10));
      }
    });
  }
  for (uint64_t i = 1; i <= kEvents; ++i) feed.Add(Numbered(i));
  for (std::thread& watcher : watchers) watcher.join();
}

TEST(EventFeed, ReplayAddsNothing) {
  EventFeed feed;
  feed.Add(Numbered(7));
  feed.Add(Numbered(3));
  feed.Add(Numbered(7));
  EXPECT_EQ(feed.After(0, 10).size(), 1u);
  EXPECT_EQ(feed.last_sequence(), 7u);
}

TEST(EventFeed, KeepsTheNewest) {
  EventFeed feed;
  for (uint64_t i = 1; i <= EventFeed::kKept + 5; ++i) feed.Add(Numbered(i));
  const auto kept = feed.After(0, 100000);
  EXPECT_EQ(kept.size(), EventFeed::kKept);
  EXPECT_EQ(kept.front().sequence(), 6u);
}

TEST(EventFeed, CloseEndsWaits) {
  EventFeed feed;
  std::thread watcher(
      [&feed] { EXPECT_FALSE(feed.Wait(0, std::chrono::hours(1))); });
  feed.Close();
  watcher.join();
}

TEST(Mailbox, LettersOfSeveralThreadsAreCarriedOutOnTheLoopsThread) {
  auto loop = EventLoop::Create();
  auto mailbox = Mailbox::Create(**loop);
  ASSERT_TRUE(mailbox.ok());
  int carried_out = 0;  // The loop's thread alone touches it.
  std::vector<std::thread> senders;
  for (int i = 0; i < 4; ++i) {
    senders.emplace_back([&] {
      for (int j = 0; j < 1000; ++j) {
        (*mailbox)->Put([&carried_out] { ++carried_out; });
      }
    });
  }
  while (carried_out < 4000) (*loop)->RunOnce(-1);
  for (std::thread& sender : senders) sender.join();
}

}  // namespace
}  // namespace bulkhead::platform
