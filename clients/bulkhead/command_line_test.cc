// Shows what command lines of bulkhead mean, and that nonsense is usage (2).
#include "clients/bulkhead/command_line.h"

#include <gtest/gtest.h>

#include <vector>

namespace bulkhead::cli {
namespace {

bool Parse(std::vector<const char*> arguments, CommandLine& line,
           int* exit_code = nullptr) {
  arguments.insert(arguments.begin(), "bulkhead");
  int code = -1;
  const bool parsed = ParseCommandLine(static_cast<int>(arguments.size()),
                                       arguments.data(), line, code);
  if (exit_code != nullptr) *exit_code = code;
  return parsed;
}

template <typename Command>
Command Parsed(std::vector<const char*> arguments) {
  CommandLine line;
  EXPECT_TRUE(Parse(std::move(arguments), line));
  const Command* command = std::get_if<Command>(&line.command);
  EXPECT_NE(command, nullptr);
  return command != nullptr ? *command : Command();
}

TEST(CommandLine, CommonOptionsMayStandBeforeAndBehindTheCommand) {
  for (const auto& arguments : std::vector<std::vector<const char*>>{
           {"--json", "--run-dir", "/x", "ps"},
           {"ps", "--json", "--run_dir=/x"},
           {"--json", "ps", "-d", "/x"}}) {
    CommandLine line;
    ASSERT_TRUE(Parse(arguments, line));
    EXPECT_TRUE(line.json);
    EXPECT_EQ(line.run_dir, "/x");
    EXPECT_TRUE(std::holds_alternative<PsOptions>(line.command));
  }
}

TEST(CommandLine, Capture) {
  const auto capture = Parsed<CaptureOptions>(
      {"capture", "nic1", "-f", "tcp port 80", "-w", "x", "-t", "500ms"});
  EXPECT_EQ(capture.instance, "nic1");
  EXPECT_EQ(capture.filter, "tcp port 80");
  EXPECT_EQ(capture.file, "x");
  EXPECT_EQ(capture.duration_ms, 500u);
  EXPECT_EQ(Parsed<CaptureOptions>({"capture", "nic1"}).file, "-");
  EXPECT_EQ(
      Parsed<CaptureOptions>({"capture", "router", "-d", "guests"}).domain,
      "guests");
  CommandLine line;
  int exit_code = 0;
  EXPECT_FALSE(Parse({"capture"}, line, &exit_code));
  EXPECT_EQ(exit_code, kUsage);
  EXPECT_FALSE(Parse({"capture", "nic1", "-t", "soon"}, line, &exit_code));
  EXPECT_EQ(exit_code, kUsage);
}

TEST(CommandLine, Router) {
  EXPECT_EQ(Parsed<RouterOptions>({"router", "links"}).what, "links");
  const auto explain = Parsed<RouterOptions>(
      {"router", "explain", "tcp", "10.0.1.5:443", "from", "web"});
  EXPECT_EQ(explain.what, "explain");
  EXPECT_EQ(explain.question, (std::vector<std::string>{
                                  "tcp", "10.0.1.5:443", "from", "web"}));
  CommandLine line;
  int exit_code = 0;
  for (const auto& wrong : std::vector<std::vector<const char*>>{
           {"router"}, {"router", "tables"}, {"router", "explain"}}) {
    EXPECT_FALSE(Parse(wrong, line, &exit_code));
    EXPECT_EQ(exit_code, kUsage);
  }
}

TEST(CommandLine, Up) {
  EXPECT_TRUE(Parsed<UpOptions>({"up", "a.yaml"}).wait);
  EXPECT_FALSE(Parsed<UpOptions>({"up", "--no-wait", "a.yaml"}).wait);
  const auto up = Parsed<UpOptions>({"up", "a.yaml", "--foreground"});
  EXPECT_TRUE(up.foreground);
  EXPECT_EQ(up.file, "a.yaml");
}

TEST(CommandLine, ValidateTakesManyFiles) {
  EXPECT_EQ(Parsed<ValidateOptions>({"validate", "a", "b"}).files,
            (std::vector<std::string>{"a", "b"}));
}

TEST(CommandLine, Kill) {
  EXPECT_EQ(Parsed<KillOptions>({"kill", "nic0"}).signal, 9);
  EXPECT_EQ(Parsed<KillOptions>({"kill", "nic0", "--signal", "STOP"}).signal,
            19);
  EXPECT_EQ(Parsed<KillOptions>({"kill", "-s", "11", "nic0"}).signal, 11);
}

TEST(CommandLine, EveryCommandHasItsOptions) {
  EXPECT_TRUE(Parsed<PlanOptions>({"plan", "--all", "f"}).all);
  EXPECT_TRUE(Parsed<ApplyOptions>({"apply", "f", "--dry-run"}).dry_run);
  EXPECT_TRUE(Parsed<EventsOptions>({"events", "-f"}).follow);
  EXPECT_EQ(Parsed<EventsOptions>({"events", "nic1"}).name, "nic1");
  EXPECT_EQ(Parsed<LogsOptions>({"logs", "nic1", "-n", "5"}).lines, 5u);
  EXPECT_EQ(Parsed<StatusOptions>({"status"}).name, "");
  EXPECT_EQ(Parsed<RestartOptions>({"restart", "nic1"}).name, "nic1");
  EXPECT_EQ(Parsed<DemoOptions>({"demo", "--nics", "4"}).nics, 4u);
  Parsed<DownOptions>({"down"});
  Parsed<DevicesOptions>({"devices"});
  Parsed<VersionOptions>({"version"});
}

TEST(CommandLine, NonsenseIsUsage) {
  for (const auto& arguments : std::vector<std::vector<const char*>>{
           {},
           {"upp"},
           {"up"},
           {"up", "a", "b"},
           {"kill"},
           {"kill", "nic0", "--signal", "BOOM"},
           {"kill", "nic0", "--signal", "0"},
           {"kill", "nic0", "--signal", "1000"},
           {"ps", "--nonsense"},
           {"demo", "--nics", "0"}}) {
    CommandLine line;
    int exit_code = -1;
    EXPECT_FALSE(Parse(arguments, line, &exit_code));
    EXPECT_EQ(exit_code, kUsage);
  }
}

TEST(CommandLine, HelpIsNoFailure) {
  CommandLine line;
  int exit_code = -1;
  EXPECT_FALSE(Parse({"up", "--help"}, line, &exit_code));
  EXPECT_EQ(exit_code, kOk);
}

TEST(Signals, NamesBothWays) {
  EXPECT_EQ(ParseSignal("kill"), 9);
  EXPECT_EQ(ParseSignal("SIGSEGV"), 11);
  EXPECT_EQ(ParseSignal("15"), 15);
  EXPECT_EQ(ParseSignal(""), 0);
  EXPECT_EQ(ParseSignal("-9"), 0);
  EXPECT_EQ(SignalName(9), "SIGKILL");
}

}  // namespace
}  // namespace bulkhead::cli
