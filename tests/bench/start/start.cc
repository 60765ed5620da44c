// From the start of the supervisor to the link of every NIC up, at 1, 8 and 64
// NICs, and which step of it takes how long.
//
// Times come from the system's own events (one clock, CLOCK_MONOTONIC), so that
// asking does not disturb.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <map>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "tests/bench/floors.h"
#include "tests/bench/options.h"
#include "tests/bench/report.h"
#include "tests/bench/system_under_test.h"

namespace bulkhead::bench {
namespace {

constexpr double kBudgetMs = 200;  // Of 64 NICs.

// When each kind of event came first and last, in ms after the start.
using Profile = std::map<std::string, std::pair<double, double>>;

struct Run {
  double up_ms = 0;
  Profile profile;
};

// "driver attached", "model started", "platform_service spawned", …
std::string StepName(const v1::Event& event) {
  std::string process = event.process();
  if (process.rfind("nic", 0) == 0) process = "driver";
  if (process.rfind("port", 0) == 0) process = "model";
  return absl::StrCat(process, "_", event.kind());
}

absl::StatusOr<Run> StartOnce(const Options& options, int nics, bool standby) {
  ASSIGN_OR_RETURN(
      const auto system,
      SystemUnderTest::Start(
          {.scenario = MakeScenario({{.nics = nics, .standby = standby}}),
           .bin_dir = options.bin_dir}));
  // Nobody asks before it is likely to be done: 64 NICs on two cores leave no
  // core for a spectator.
  ::usleep(std::max(50, nics * 5) * 1000);
  RETURN_IF_ERROR(system->WaitForLinks(nics, 60000));
  ASSIGN_OR_RETURN(const std::vector<v1::Event> events, system->Events());
  Run run;
  for (const v1::Event& event : events) {
    if (event.process().empty()) continue;
    const double ms =
        (static_cast<double>(event.time_ns()) - system->started_ns()) / 1e6;
    const auto [step, added] =
        run.profile.emplace(StepName(event), std::make_pair(ms, ms));
    if (!added) step->second.second = ms;
    if (event.kind() == "link_up") run.up_ms = std::max(run.up_ms, ms);
  }
  if (run.up_ms == 0) return absl::InternalError("no link_up event");
  RETURN_IF_ERROR(system->Down(30000));
  return run;
}

absl::Status Measure(const Options& options, int nics, double floor_us,
                     Report& report) {
  Samples up_ms;
  std::map<std::string, Samples> first, last;
  for (int i = 0; i < options["repetitions"]; ++i) {
    ASSIGN_OR_RETURN(const Run run, StartOnce(options, nics, false));
    up_ms.Add(run.up_ms);
    for (const auto& [step, when] : run.profile) {
      first[step].Add(when.first);
      last[step].Add(when.second);
    }
  }
  const std::string prefix = absl::StrCat(nics, "_nics");
  if (nics == 64) {
    report.AddMedian(prefix + "_up", up_ms, "ms", "budget", kBudgetMs);
  }
  // A model and a driver per NIC, each at least a spawn, on all cores.
  const double floor_ms =
      2 * nics * floor_us / 1e3 / ::sysconf(_SC_NPROCESSORS_ONLN);
  report.AddMedian(nics == 64 ? prefix + "_up_against_floor" : prefix + "_up",
                   up_ms, "ms", "floor: spawns alone", floor_ms);
  std::vector<std::pair<double, std::string>> order;
  for (const auto& [step, samples] : last) {
    order.emplace_back(samples.Median(), step);
  }
  std::sort(order.begin(), order.end());
  for (const auto& [when, step] : order) {
    report.Add(
        {.name = absl::StrCat(prefix, "_", step, "_last"),
         .value = when,
         .unit = "ms",
         .min = last[step].Min(),
         .max = last[step].Max(),
         .note = absl::StrCat("first at ", first[step].Median(), " ms")});
  }
  return absl::OkStatus();
}

absl::Status Main(const Options& options) {
  Report report("start", options.json);
  ASSIGN_OR_RETURN(const Samples spawn,
                   SpawnToReady(FloorChild(options.bin_dir), 100));
  report.AddMedian("floor_spawn_to_ready", spawn, "us");
  for (const int nics : {1, 8, 64}) {
    if (nics > options["max_nics"]) continue;
    RETURN_IF_ERROR(Measure(options, nics, spawn.Median(), report));
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace bulkhead::bench

int main(int argc, char** argv) {
  const auto options = bulkhead::bench::Options::Parse(
      argc, argv, {{"repetitions", 5}, {"max_nics", 64}});
  const absl::Status status = bulkhead::bench::Main(options);
  if (status.ok()) return 0;
  std::fprintf(stderr, "bench start: %s\n",
               std::string(status.message()).c_str());
  return 1;
}
