#include "supervisor/event_log.h"

#include <string>

#include "gtest/gtest.h"

namespace bulkhead::supervisor {
namespace {

// Shows that the last 4,096 stay, with their numbers.
TEST(EventLog, KeepsTheLast) {
  EventLog log;
  for (int i = 0; i < 5000; ++i) log.Add({});
  ASSERT_EQ(log.events().size(), EventLog::kCapacity);
  EXPECT_EQ(log.events().front().sequence(), 5000 - 4096 + 1u);
  EXPECT_EQ(log.events().back().sequence(), 5000u);
}

// Shows that a given time is kept, a missing one filled in, and a given number
// not believed.
TEST(EventLog, NumbersAndTimes) {
  EventLog log;
  Event event;
  event.set_sequence(77);
  event.set_time_ns(5);
  EXPECT_EQ(log.Add(event).sequence(), 1u);
  EXPECT_EQ(log.events().back().time_ns(), 5u);
  EXPECT_GT(log.Add({}).time_ns(), 5u);
}

// Shows that long text is cut without breaking UTF-8 (protobuf would refuse the
// message otherwise).
TEST(EventLog, LongTextIsCut) {
  EventLog log;
  for (int shift = 0; shift < 3; ++shift) {
    Event event;
    std::string text(shift, 'a');
    while (text.size() < 5000) text += "\u20ac";
    event.set_text(text);
    const Event& kept = log.Add(event);
    EXPECT_LE(kept.text().size(), EventLog::kMaxTextBytes);
    EXPECT_EQ(kept.text().back(), '~');
    Event parsed;
    EXPECT_TRUE(parsed.ParseFromString(kept.SerializeAsString()));
  }
}

// Shows that no text can pass for another line, or for a terminal's orders.
TEST(EventLog, S7_TextIsText) {
  EventLog log;
  Event event;
  event.set_process("nic0\x1b[2J");
  event.set_text("client `x\n1.000000 nic1 died`");
  const Event& kept = log.Add(event);
  EXPECT_EQ(kept.process(), "nic0?[2J");
  EXPECT_EQ(kept.text(), "client `x 1.000000 nic1 died`");
}

}  // namespace
}  // namespace bulkhead::supervisor
