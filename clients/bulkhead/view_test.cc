// Shows that what comes from outside cannot break a table, a line or a JSON
// document, and how numbers and chains read.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "clients/bulkhead/event_chain.h"
#include "clients/bulkhead/json_view.h"
#include "clients/bulkhead/table.h"

namespace bulkhead::cli {
namespace {

namespace api = platform::v1;

struct Screen {
  std::ostringstream out;
  std::ostringstream err;
  Console console{.out = out, .err = err};
};

TEST(Table, AlignsByCodePointsAndCutsTrailingSpaces) {
  Screen screen;
  Table table({{"NAME"}, {"N", Table::Align::kRight}, {"TEXT"}});
  table.Add({"µ", "12", ""});
  table.Add({"long name", "3", "x"});
  EXPECT_EQ(table.ToText(screen.console),
            "NAME        N  TEXT\n"
            "µ          12\n"
            "long name   3  x\n");
}

TEST(Table, ACellCannotForgeLinesOrColours) {
  Screen screen;
  Table table({{"A"}});
  table.Add({"x\ny\033[31mz"});
  EXPECT_EQ(table.ToText(screen.console), "A\nx?y?[31mz\n");
}

TEST(Table, ColourDoesNotChangeTheWidth) {
  Screen screen;
  screen.console.colour = true;
  Table table({{"A"}, {"B"}});
  table.Add({{"ok", Colour::kGood}, "x"});
  EXPECT_EQ(table.ToText(screen.console),
            "\033[1mA\033[0m   \033[1mB\033[0m\n\033[32mok\033[0m  x\n");
}

TEST(Numbers, AsPeopleReadThem) {
  EXPECT_EQ(WithCommas(0), "0");
  EXPECT_EQ(WithCommas(999), "999");
  EXPECT_EQ(WithCommas(1000), "1,000");
  EXPECT_EQ(WithCommas(1234567), "1,234,567");
  EXPECT_EQ(Bytes(0), "0 B");
  EXPECT_EQ(Bytes(1536), "1.5 KiB");
  EXPECT_EQ(Bytes(8 << 20), "8 MiB");
  EXPECT_EQ(Duration(900), "1 µs");
  EXPECT_EQ(Duration(1'234'567), "1.23 ms");
  EXPECT_EQ(Duration(2'500'000'000), "2.50 s");
}

api::Event EventOf(const char* process, const char* kind, uint64_t us) {
  api::Event event;
  event.set_process(process);
  event.set_kind(kind);
  event.set_time_ns(us * 1000);
  return event;
}

TEST(EventChain, CountsFromTheDeathOfTheSameProcess) {
  EventChain chain;
  EXPECT_FALSE(chain.SinceDeath(EventOf("nic0", "started", 1)).has_value());
  EXPECT_EQ(chain.SinceDeath(EventOf("nic0", "died", 100)), 0u);
  EXPECT_EQ(chain.SinceDeath(EventOf("nic1", "died", 150)), 0u);
  EXPECT_EQ(chain.SinceDeath(EventOf("nic0", "dma_off", 160)), 60'000u);
  EXPECT_EQ(chain.SinceDeath(EventOf("nic1", "reset", 170)), 20'000u);
  EXPECT_EQ(chain.SinceDeath(EventOf("nic0", "first_frame", 900)), 800'000u);
  EXPECT_FALSE(chain.SinceDeath(EventOf("nic0", "spawned", 950)).has_value());
  EXPECT_EQ(chain.SinceDeath(EventOf("nic1", "died", 1000)), 0u);
  EXPECT_EQ(chain.SinceDeath(EventOf("nic1", "parked", 1001)), 1000u);
  EXPECT_FALSE(chain.SinceDeath(EventOf("nic1", "spawned", 2000)).has_value());
}

TEST(EventChain, AModelsRecoveryEndsWithTheNextRequest) {
  EventChain chain;
  chain.SinceDeath(EventOf("port0", "died", 100));
  EXPECT_EQ(chain.SinceDeath(EventOf("port0", "started", 300)), 200'000u);
  EXPECT_FALSE(chain.SinceDeath(EventOf("port0", "signal", 9000)).has_value());
  EXPECT_FALSE(chain.SinceDeath(EventOf("port0", "ready", 9100)).has_value());
}

TEST(EventChain, AnEventThatSeemsEarlierThanTheDeathIsNotHugelyLater) {
  EventChain chain;
  chain.SinceDeath(EventOf("nic0", "died", 100));
  EXPECT_EQ(chain.SinceDeath(EventOf("nic0", "dma_off", 99)), 0u);
}

TEST(EventLine, ShowsTimeDeltaProcessKindAndText) {
  api::Event event = EventOf("nic0", "reset", 1'000'052);
  event.set_generation(3);
  event.set_text("verified");
  EXPECT_EQ(EventLine(event, 52'000),
            "1.000052        +52 us  nic0 #3              reset        "
            "verified");
}

TEST(JsonView, BrokenUtf8DoesNotBreakTheDocument) {
  api::Instance instance;
  instance.set_name("nic0");
  instance.set_up_since_ns(~uint64_t{0});
  *instance.mutable_reason() = "bad \xff byte\n";
  const Json json = Json::parse(Dump(ToJson(instance)), nullptr, false);
  ASSERT_FALSE(json.is_discarded());
  EXPECT_EQ(json["name"], "nic0");
  EXPECT_EQ(json["up_since_ns"], ~uint64_t{0});
  EXPECT_EQ(json["reason"], "bad \xef\xbf\xbd byte\n");
}

TEST(JsonView, StatusHasEveryList) {
  api::Status status;
  api::Counter* counter = status.add_instance()->add_model_counter();
  counter->set_name("tx_frames");
  counter->set_value(5);
  status.add_process()->add_sandbox_not_applied("user namespace: EPERM");
  status.add_warning("w");
  const Json json = ToJson(status);
  EXPECT_EQ(json["instances"][0]["model_counters"]["tx_frames"], 5);
  EXPECT_EQ(json["processes"][0]["sandbox_not_applied"][0],
            "user namespace: EPERM");
  EXPECT_EQ(json["sessions"], Json::array());
  EXPECT_EQ(json["warnings"][0], "w");
}

}  // namespace
}  // namespace bulkhead::cli
