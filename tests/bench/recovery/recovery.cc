// How long a link pauses when its driver is killed, and whether the other links
// notice: kills at random moments under load, with a warm spare and without.
//
// The clock starts just before kill(2). Two ends are measured: the driver's
// FirstFrame event (the first frame through the session), and the first frame
// that the client itself receives from the new generation, which went out over
// the wire, came back, and woke it.
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <random>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/errno_status.h"
#include "tests/bench/echo_client.h"
#include "tests/bench/floors.h"
#include "tests/bench/options.h"
#include "tests/bench/report.h"
#include "tests/bench/system_under_test.h"

namespace bulkhead::bench {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

// The words of the chain (docs/events.md) in the order in which they are due;
// `ready` and `spawned` are there only without a spare.
constexpr const char* kSteps[] = {
    "died",    "dma_off", "reset",       "epoch",    "granted",
    "spawned", "ready",   "handed_over", "attached", "first_frame"};

struct Result {
  Samples to_event_us;   // Death to the driver's first frame.
  Samples to_client_us;  // Death to the client's first frame.
  Samples epoch_us;      // Death to the client's acknowledged epoch.
  std::map<std::string, Samples> step_us;
  EchoCounts victim;
  EchoCounts others;  // Sums; longest_gap_ns is the longest of all.
  int others_count = 0;
  int unrecovered = 0;
};

// Everything that one series of kills needs.
struct Series {
  std::unique_ptr<SystemUnderTest> system;
  std::unique_ptr<EchoThread> victim;
  std::unique_ptr<EchoThread> others;
};

absl::StatusOr<Series> SetUp(const Options& options, bool standby) {
  // Each kill is a first failure: the back-off has its own tests.
  const std::string rule =
      "    restart: {stable_after: 1ms, park_after: 1000}\n";
  const int others = options["others"];
  Series series;
  ASSIGN_OR_RETURN(series.system,
                   SystemUnderTest::Start(
                       {.scenario = MakeScenario({{.port = "vport",
                                                   .instance = "victim{index}",
                                                   .nics = 1,
                                                   .standby = standby,
                                                   .rule = rule},
                                                  {.port = "oport",
                                                   .instance = "other{index}",
                                                   .nics = others,
                                                   .rule = rule}}),
                        .bin_dir = options.bin_dir}));
  RETURN_IF_ERROR(series.system->WaitForLinks(others + 1, 20000));
  EchoClient::Options client;
  client.socket = series.system->session_socket();
  client.tick_ns = options["victim_tick_us"] * 1000;
  client.burst = 4;
  ASSIGN_OR_RETURN(series.victim, StartEcho({"victim0"}, client));
  std::vector<std::string> names;
  for (int i = 0; i < others; ++i) names.push_back(absl::StrCat("other", i));
  client.tick_ns = 1'000'000;
  client.burst = 8;
  ASSIGN_OR_RETURN(series.others, StartEcho(names, client));
  return series;
}

// Waits until the client has its first frame of recovery number `count`.
bool WaitForRecovery(EchoClient::Recovery& recovery, uint32_t count) {
  const uint64_t deadline = MonotonicNs() + 5'000'000'000;
  while (recovery.completed.load() < count) {
    if (MonotonicNs() > deadline) return false;
    std::this_thread::sleep_for(microseconds(500));
  }
  return true;
}

// Collects the chain of one death from the events after `*sequence`.
absl::Status ReadChain(SystemUnderTest& system, uint64_t killed_ns,
                       uint64_t* sequence, Result& result) {
  ASSIGN_OR_RETURN(const std::vector<v1::Event> events,
                   system.Events(*sequence));
  std::map<std::string, uint64_t> first;
  for (const v1::Event& event : events) {
    *sequence = std::max(*sequence, event.sequence());
    if (event.process() != "victim0" || event.time_ns() < killed_ns) continue;
    first.emplace(event.kind(), event.time_ns());
  }
  for (const auto& [kind, time_ns] : first) {
    result.step_us[kind].Add((time_ns - killed_ns) / 1e3);
  }
  if (first.count("first_frame") != 0) {
    result.to_event_us.Add((first["first_frame"] - killed_ns) / 1e3);
  }
  return absl::OkStatus();
}

absl::StatusOr<Result> Measure(const Options& options, bool standby,
                               Report& report) {
  ASSIGN_OR_RETURN(Series series, SetUp(options, standby));
  Result result;
  std::mt19937 random(1);
  std::uniform_int_distribution<int> pause_us(2000, 12000);
  EchoClient::Recovery& recovery = series.victim->client(0).recovery();
  uint64_t sequence = 0;
  for (int kill = 0; kill < options["kills"] && result.unrecovered < 3;
       ++kill) {
    // The next spare is made ready only after the recovery; a death before
    // that is a cold one.
    RETURN_IF_ERROR(series.system->WaitForStatus(
        [standby](const v1::Status& status) {
          return std::any_of(status.instance().begin(), status.instance().end(),
                             [standby](const v1::Instance& instance) {
                               return instance.name() == "victim0" &&
                                      instance.phase() == "running" &&
                                      (instance.spare_ready() || !standby);
                             });
        },
        5000));
    ASSIGN_OR_RETURN(const int pid, series.system->PidOf("victim0"));
    if (kill == 0) {
      ASSIGN_OR_RETURN(const auto old, series.system->Events());
      if (!old.empty()) sequence = old.back().sequence();
    }
    std::this_thread::sleep_for(microseconds(pause_us(random)));
    const uint32_t before = recovery.completed.load();
    const uint64_t killed_ns = MonotonicNs();
    if (::kill(pid, SIGKILL) != 0) return ErrnoStatus("kill the driver");
    if (!WaitForRecovery(recovery, before + 1)) {
      ++result.unrecovered;
      report.Say(absl::StrCat("no frame within 5 s of kill ", kill, ":\n",
                              series.system->EventText(sequence)));
      continue;
    }
    result.to_client_us.Add((recovery.first_frame_ns.load() - killed_ns) / 1e3);
    result.epoch_us.Add((recovery.acknowledged_ns.load() - killed_ns) / 1e3);
    // The platform service tells its events when a recovery is over.
    std::this_thread::sleep_for(milliseconds(10));
    RETURN_IF_ERROR(ReadChain(*series.system, killed_ns, &sequence, result));
  }
  series.victim->Stop();
  series.others->Stop();
  result.victim = series.victim->client(0).counts();
  result.others_count = static_cast<int>(series.others->size());
  for (size_t i = 0; i < series.others->size(); ++i) {
    const EchoCounts& counts = series.others->client(i).counts();
    result.others.sent += counts.sent;
    result.others.received += counts.received;
    result.others.lost += counts.lost + counts.corrupt + counts.out_of_order;
    result.others.recoveries += counts.recoveries;
    result.others.longest_gap_ns =
        std::max(result.others.longest_gap_ns, counts.longest_gap_ns);
  }
  return result;
}

void PrintTimes(const std::string& name, const Samples& samples,
                double p50_budget_us, Report& report) {
  report.Add({.name = name + "_p50",
              .value = samples.Percentile(0.5),
              .unit = "us",
              .against = "budget",
              .against_value = p50_budget_us,
              .min = samples.Min(),
              .max = samples.Max(),
              .note = absl::StrCat(samples.count(), " kills")});
  report.Add({.name = name + "_p99",
              .value = samples.Percentile(0.99),
              .unit = "us",
              .against = "budget",
              .against_value = 5000});
  report.Add({.name = name + "_max", .value = samples.Max(), .unit = "us"});
}

void Print(const std::string& prefix, const Result& result, bool standby,
           double floor_us, Report& report) {
  const double budget_us = standby ? 1000 : 2000;
  PrintTimes(prefix + "_driver_first_frame", result.to_event_us, budget_us,
             report);
  PrintTimes(prefix + "_client_first_frame", result.to_client_us, budget_us,
             report);
  report.AddMedian(
      prefix + "_against_floor", result.to_client_us, "us",
      standby ? "floor kill to pidfd" : "floor kill to pidfd + spawn to ready",
      floor_us);
  for (const char* step : kSteps) {
    const auto found = result.step_us.find(step);
    if (found == result.step_us.end()) continue;
    report.AddMedian(absl::StrCat(prefix, "_step_", step), found->second, "us");
  }
  report.AddMedian(prefix + "_step_client_epoch", result.epoch_us, "us");
  report.Add({.name = prefix + "_others_lost",
              .value = static_cast<double>(result.others.lost),
              .unit = "frames",
              .against = "budget",
              .against_value = 0,
              .note = absl::StrCat(result.others.sent, " sent on ",
                                   result.others_count, " links")});
  report.Add({.name = prefix + "_others_recoveries",
              .value = static_cast<double>(result.others.recoveries),
              .unit = "",
              .against = "budget",
              .against_value = 0});
  report.Add({.name = prefix + "_others_longest_gap",
              .value = result.others.longest_gap_ns / 1e3,
              .unit = "us",
              .note = "sent every 1000 us"});
  report.Add({.name = prefix + "_victim_unexplained",
              .value = static_cast<double>(result.victim.lost),
              .unit = "frames",
              .note = absl::StrCat("lost with no death to excuse it; ",
                                   result.victim.sent, " sent, ",
                                   result.victim.lost_in_recovery,
                                   " under way at a death")});
  report.Add({.name = prefix + "_unrecovered",
              .value = static_cast<double>(result.unrecovered),
              .unit = "kills"});
}

absl::Status Main(const Options& options) {
  Report report("recovery", options.json);
  const std::string child = FloorChild(options.bin_dir);
  ASSIGN_OR_RETURN(const Samples pidfd, KillToPidfd(child, 100));
  ASSIGN_OR_RETURN(const Samples spawn, SpawnToReady(child, 100));
  ASSIGN_OR_RETURN(const Samples round_trip, EventfdRoundTrip(1000));
  report.AddMedian("floor_kill_to_pidfd", pidfd, "us");
  report.AddMedian("floor_spawn_to_ready", spawn, "us");
  report.AddMedian("floor_cpuid_at_start", CpuidAtStart(100), "us",
                   "floor spawn to ready", spawn.Median());
  report.AddMedian("floor_eventfd_round_trip", round_trip, "us");
  bool good = true;
  for (const bool standby : {true, false}) {
    const std::string name = standby ? "warm" : "cold";
    if (!options.words.empty() && options.words[0] != name) continue;
    ASSIGN_OR_RETURN(const Result result, Measure(options, standby, report));
    Print(name, result, standby,
          pidfd.Median() + (standby ? 0 : spawn.Median()), report);
    good &= result.unrecovered == 0 && result.others.lost == 0 &&
            result.others.recoveries == 0;
  }
  return good ? absl::OkStatus()
              : absl::InternalError(
                    "frames were lost on other links, or a link did not come "
                    "back; see the lines above");
}

}  // namespace
}  // namespace bulkhead::bench

int main(int argc, char** argv) {
  const auto options = bulkhead::bench::Options::Parse(
      argc, argv, {{"kills", 1000}, {"others", 3}, {"victim_tick_us", 200}});
  const absl::Status status = bulkhead::bench::Main(options);
  if (status.ok()) return 0;
  std::fprintf(stderr, "bench recovery: %s\n",
               std::string(status.message()).c_str());
  return 1;
}
