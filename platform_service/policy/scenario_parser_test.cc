// Shows what a right scenario is read as, with every default, and that input no
// editor writes (binary, huge, not a file) is refused with a message.
#include "platform_service/policy/scenario_parser.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/testing/scratch_dir.h"

namespace bulkhead::policy {
namespace {

constexpr absl::string_view kFull = R"(# Every key there is.
apiVersion: bulkhead/v1
devices: {recorded: lab.lspci}
simulated:
  - {name: port0, model: 82574l, mac: 02:00:00:00:00:01, serial: 00-1b-21-ff-ff-aa-bb-cc, network: {echo: {}}}
  - {name: port1, model: 82574l, network: {cable: lab}}
  - {name: port2, model: 82574l, network: {cable: lab}}
  - {name: port3, model: 82574l, network: {switch: core}}
  - {name: port4, model: 82574l, network: {generator: {rate: 1000, bytes: 1514, count: 7}}}
  - {name: port5, model: 82574l, network: {sink: {}}}
  - {name: port6, model: 82574l, network: {tap: tap0}, faults: [tx_stall, "after:100"]}
  - {name: port7, model: 82574l, network: {pcap: {file: /tmp/a.pcap, loop: true}}}
drivers:
  - match: {class: ethernet, vendor: 0x8086, device: 0x10D3, subsystem_vendor: 0x1, subsystem_device: 0xa01f, address: "01:00.*", slot: "3*", serial: "00-1b-*", name: port*}
    driver: e1000e
    instance: nic{index}
    standby: true
    restart: {backoff_first: 20ms, backoff_max: 2m, park_after: 3, stable_after: 1h}
    heartbeat: {interval: 50ms, misses: 5}
    limits: {memory: 8MiB, cpus: [3, 1, 1], fds: 64, queues: 4}
    config: {mtu: 9000, promiscuous: true, multicast: [33:33:00:00:00:fb, 01:00:5e:00:00:fb], rx_checksum: false, tx_checksum: false, interrupt_interval: 50us}
    take: true
  - {match: {class: 0x02}, driver: e1000e}
clients:
  - {label: probe, may_open: [nic0, "nic*"], memory: 4MiB}
)";

TEST(ScenarioParser, ReadsEveryKey) {
  const ParsedScenario parsed = ParseScenario(kFull, "configs/full.yaml");
  ASSERT_TRUE(parsed.ok()) << ToText(parsed.diagnostics);
  const Scenario& s = parsed.scenario;
  EXPECT_EQ(s.path, "configs/full.yaml");
  EXPECT_FALSE(s.devices.sysfs);
  EXPECT_EQ(s.devices.recorded, "configs/lab.lspci");

  ASSERT_EQ(s.simulated.size(), 8u);
  EXPECT_EQ(s.simulated[0].name, "port0");
  EXPECT_EQ(s.simulated[0].model, "82574l");
  EXPECT_EQ(s.simulated[0].mac, (MacAddress{2, 0, 0, 0, 0, 1}));
  EXPECT_EQ(s.simulated[0].serial, 0x001b21ffffaabbccu);
  EXPECT_EQ(s.simulated[0].line.number, 5);
  EXPECT_EQ(s.simulated[0].network, Network(EchoNetwork{}));
  EXPECT_EQ(s.simulated[1].network, Network(CableNetwork{"lab"}));
  EXPECT_EQ(s.simulated[1].serial, 0u);
  EXPECT_EQ(s.simulated[3].network, Network(SwitchNetwork{"core"}));
  EXPECT_EQ(s.simulated[4].network, Network(GeneratorNetwork{1000, 1514, 7}));
  EXPECT_EQ(s.simulated[5].network, Network(SinkNetwork{}));
  EXPECT_EQ(s.simulated[6].network, Network(TapNetwork{"tap0"}));
  EXPECT_EQ(s.simulated[6].faults,
            (std::vector<std::string>{"tx_stall", "after:100"}));
  EXPECT_EQ(s.simulated[7].network, Network(PcapNetwork{"/tmp/a.pcap", true}));

  ASSERT_EQ(s.drivers.size(), 2u);
  const DriverRule& rule = s.drivers[0];
  EXPECT_EQ(rule.match.class_value, 0x020000u);
  EXPECT_EQ(rule.match.class_mask, 0xffff00u);
  EXPECT_EQ(rule.match.vendor, 0x8086);
  EXPECT_EQ(rule.match.device, 0x10d3);
  EXPECT_EQ(rule.match.subsystem_vendor, 1);
  EXPECT_EQ(rule.match.subsystem_device, 0xa01f);
  EXPECT_EQ(rule.match.address, "0000:01:00.*");
  EXPECT_EQ(rule.match.slot, "3*");
  EXPECT_EQ(rule.match.serial, "00-1b-*");
  EXPECT_EQ(rule.match.name, "port*");
  EXPECT_EQ(rule.driver, "e1000e");
  EXPECT_EQ(rule.instance, "nic{index}");
  EXPECT_TRUE(rule.standby);
  EXPECT_EQ(rule.restart, (RestartSpec{20, 120000, 3, 3600000}));
  EXPECT_EQ(rule.heartbeat, (HeartbeatSpec{50, 5}));
  EXPECT_EQ(rule.limits, (LimitsSpec{8 << 20, {1, 3}, 64, 4}));
  EXPECT_EQ(rule.config,
            (NicConfigSpec{.mtu = 9000,
                           .promiscuous = true,
                           .multicast = {{{0x01, 0, 0x5e, 0, 0, 0xfb},
                                          {0x33, 0x33, 0, 0, 0, 0xfb}}},
                           .rx_checksum = false,
                           .tx_checksum = false,
                           .interrupt_interval_us = 50}));
  EXPECT_TRUE(rule.take);
  EXPECT_EQ(rule.line.number, 14);

  ASSERT_TRUE(s.clients.has_value());
  ASSERT_EQ(s.clients->size(), 1u);
  EXPECT_EQ((*s.clients)[0].label, "probe");
  EXPECT_EQ((*s.clients)[0].may_open,
            (std::vector<std::string>{"nic0", "nic*"}));
  EXPECT_EQ((*s.clients)[0].memory_bytes, 4u << 20);
}

TEST(ScenarioParser, FillsInDefaults) {
  const ParsedScenario parsed = ParseScenario(kFull, "full.yaml");
  ASSERT_TRUE(parsed.ok());
  const DriverRule& rule = parsed.scenario.drivers[1];
  DriverRule expected;
  expected.match.class_value = 0x020000;
  expected.match.class_mask = 0xff0000;
  expected.driver = "e1000e";
  EXPECT_EQ(rule, expected);
  EXPECT_EQ(rule.instance, "nic{index}");
  EXPECT_EQ(parsed.scenario.devices.recorded, "lab.lspci");

  const ParsedScenario least = ParseScenario("apiVersion: bulkhead/v1\n", "f");
  ASSERT_TRUE(least.ok());
  EXPECT_FALSE(least.scenario.clients.has_value());
  EXPECT_TRUE(least.scenario.simulated.empty());
}

TEST(ScenarioParser, DerivedMacsAreStableAndDiffer) {
  std::string text = "apiVersion: bulkhead/v1\nsimulated:\n";
  for (int i = 0; i < 512; ++i) {
    absl::StrAppend(&text, "  - {name: port", i,
                    ", model: 82574l, network: {echo: {}}}\n");
  }
  // Two NICs of the same address would be an error.
  const ParsedScenario first = ParseScenario(text, "f");
  ASSERT_TRUE(first.ok()) << ToText(first.diagnostics);
  const ParsedScenario second = ParseScenario(text, "f");
  EXPECT_EQ(first.scenario.simulated, second.scenario.simulated);
  EXPECT_EQ(first.scenario.simulated[0].mac[0], 2);
}

TEST(ScenarioParser, LinesAndCommentsDoNotCountInComparisons) {
  const ParsedScenario a = ParseScenario(kFull, "f");
  const ParsedScenario b = ParseScenario(absl::StrCat("# x\n\n", kFull), "f");
  EXPECT_EQ(a.scenario.drivers, b.scenario.drivers);
  EXPECT_EQ(a.scenario.simulated, b.scenario.simulated);
  EXPECT_NE(a.scenario.drivers[0].line.number,
            b.scenario.drivers[0].line.number);
}

TEST(ScenarioParser, TakesDriversThatTheCatalogAdds) {
  constexpr absl::string_view kText =
      "apiVersion: bulkhead/v1\n"
      "drivers: [{match: {class: ethernet}, driver: misbehaving}]\n";
  const DriverCatalog others = {{"e1000e", {}}};
  EXPECT_FALSE(ParseScenario(kText, "f", {&others, nullptr}).ok());
  const DriverCatalog with = {{"misbehaving", {}}};
  EXPECT_TRUE(ParseScenario(kText, "f", {&with, nullptr}).ok());
}

struct BadBytes {
  const char* name;
  std::string text;
  std::string expected;
};

class ScenarioBadBytes : public testing::TestWithParam<BadBytes> {};

TEST_P(ScenarioBadBytes, AreRefused) {
  const ParsedScenario parsed = ParseScenario(GetParam().text, "f.yaml");
  ASSERT_EQ(parsed.diagnostics.size(), 1u);
  EXPECT_EQ(ToText(parsed.diagnostics[0]), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    Table, ScenarioBadBytes,
    testing::Values(
        BadBytes{"Empty", "",
                 "f.yaml: error: the file says nothing; a scenario starts with "
                 "the line `apiVersion: bulkhead/v1`"},
        BadBytes{"Nul", std::string("a: b\nc\0d: e\n", 12),
                 "f.yaml:2:2: error: a control character has no place in a "
                 "scenario; remove it, or write the file anew if it is "
                 "half-written\n  c\\x00d: e\n   ^"},
        BadBytes{"Utf16",
                 "\xff\xfe"
                 "a",
                 "f.yaml: error: the file is UTF-16; save it as UTF-8"},
        BadBytes{"Latin1", "a: \xe9t\xe9\n",
                 "f.yaml:1:4: error: this byte is not UTF-8; save the file as "
                 "UTF-8\n  a: \\xe9t\\xe9\n     ^"},
        BadBytes{"Overlong", "a: \xc0\xaf\n",
                 "f.yaml:1:4: error: this byte is not UTF-8; save the file as "
                 "UTF-8\n  a: \\xc0\\xaf\n     ^"},
        BadBytes{"TornCharacter", "a: \xe2\x82",
                 "f.yaml:1:4: error: this byte is not UTF-8; save the file as "
                 "UTF-8 (the file ends within this line: is it half-written?)"
                 "\n  a: \\xe2\\x82\n     ^"},
        BadBytes{"TooLong", std::string((1 << 20) + 1, '#'),
                 "f.yaml: error: the scenario has 1048577 bytes; at most 1MiB "
                 "is allowed: split the scenario"}),
    [](const auto& info) { return info.param.name; });

TEST(ScenarioParser, CountsErrorsBeyondAHundred) {
  std::string text = "apiVersion: bulkhead/v1\n";
  for (int i = 0; i < 250; ++i) absl::StrAppend(&text, "zz", i, ": 1\n");
  const ParsedScenario parsed = ParseScenario(text, "f.yaml");
  ASSERT_EQ(parsed.diagnostics.size(), 101u);
  EXPECT_EQ(ToText(parsed.diagnostics.back()),
            "f.yaml: error: 150 more errors; mend the ones above first");
}

// Texts of a megabyte that cost a naive reader its stack or exponential time.
TEST(ScenarioParser, HugeTextsEnd) {
  constexpr size_t kBytes = 1 << 20;
  auto repeat = [](absl::string_view piece) {
    std::string text;
    while (text.size() + piece.size() <= kBytes) absl::StrAppend(&text, piece);
    return text;
  };
  for (absl::string_view piece :
       {"[",     "{",       "- ",     "? ",  "a: ",     "[a,",     "{a: ",
        "- - ",  "&a ",     "!a ",    "'a'", "\"a\": ", "a\n",     "a: b\n",
        "- a\n", "--- a\n", "%A b\n", " ",   "\n",      "|\n a\n", "#\n",
        "[]",    "*a ",     "a:\n ",  "?\n-"}) {
    const ParsedScenario parsed = ParseScenario(repeat(piece), "f.yaml");
    EXPECT_FALSE(parsed.ok()) << piece;
  }
}

class ScenarioFile : public testing::Test {
 protected:
  std::string Message() {
    const ParsedScenario parsed = ParseScenarioFile(path_);
    return absl::StrContains(ToText(parsed.diagnostics), path_ + ": error: ")
               ? parsed.diagnostics.at(0).message
               : ToText(parsed.diagnostics);
  }
  ScratchDir folder_;
  std::string path_ = folder_.path() + "/s.yaml";
};

TEST_F(ScenarioFile, IsRead) {
  std::ofstream(path_) << kFull;
  EXPECT_TRUE(LoadScenario(path_).ok());
}

TEST_F(ScenarioFile, Missing) {
  EXPECT_EQ(Message(),
            "cannot be opened (No such file or directory); check the name and "
            "who may read it");
  EXPECT_EQ(LoadScenario(path_).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(ScenarioFile, Folder) {
  ASSERT_EQ(mkdir(path_.c_str(), 0700), 0);
  EXPECT_EQ(Message(),
            "is not a regular file; give the name of a scenario file");
}

TEST_F(ScenarioFile, FifoDoesNotWait) {
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  EXPECT_EQ(Message(),
            "is not a regular file; give the name of a scenario file");
}

TEST_F(ScenarioFile, Device) {
  path_ = "/dev/zero";
  EXPECT_EQ(Message(),
            "is not a regular file; give the name of a scenario file");
}

TEST_F(ScenarioFile, TooLarge) {
  std::ofstream(path_) << std::string((1 << 20) + 5, '#');
  EXPECT_EQ(Message(),
            "the scenario has 1048581 bytes; at most 1MiB is allowed: split "
            "the scenario");
}

TEST(Diagnostics, AsJson) {
  const ParsedScenario parsed =
      ParseScenario("apiVersion: \"bulkhead/v2\\t\"\n", "a\"b.yaml");
  EXPECT_EQ(
      ToJson(parsed.diagnostics),
      R"([{"file":"a\"b.yaml","line":1,"column":13,"severity":"error",)"
      R"("message":"`apiVersion` is `bulkhead/v2 `; this program reads )"
      R"(`bulkhead/v1` only","excerpt":"apiVersion: \"bulkhead/v2\\t\""}])");
}

}  // namespace
}  // namespace bulkhead::policy
