// What a system costs that has nothing to do: CPU time and wake-ups of all its
// processes, with sessions open and no frame under way.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/errno_status.h"
#include "packet_stream/client.h"
#include "tests/bench/options.h"
#include "tests/bench/report.h"
#include "tests/bench/system_under_test.h"

namespace bulkhead::bench {
namespace {

// Of one process with all its threads.
struct Use {
  uint64_t run_ns = 0;   // On a CPU, from schedstat: finer than clock ticks.
  uint64_t wakeups = 0;  // Voluntary context switches.
};

Use ReadUse(int pid) {
  Use use;
  const std::string tasks = absl::StrCat("/proc/", pid, "/task");
  for (const int tid : Threads(pid)) {
    std::ifstream schedstat(absl::StrCat(tasks, "/", tid, "/schedstat"));
    uint64_t run_ns = 0;
    schedstat >> run_ns;
    use.run_ns += run_ns;
    std::ifstream status(absl::StrCat(tasks, "/", tid, "/status"));
    std::string word;
    while (status >> word) {
      uint64_t count = 0;
      if (word == "voluntary_ctxt_switches:" && status >> count) {
        use.wakeups += count;
      }
    }
  }
  return use;
}

absl::StatusOr<std::map<int, std::string>> KindOfEach(SystemUnderTest& system) {
  ASSIGN_OR_RETURN(const v1::Status status, system.GetStatus());
  std::map<int, std::string> kinds;
  for (const int pid : system.Processes()) kinds[pid] = "spare";
  for (const v1::Process& process : status.process()) {
    if (process.pid() > 0) kinds[process.pid()] = process.kind();
  }
  kinds[system.supervisor_pid()] = "supervisor";
  return kinds;
}

absl::Status Measure(const Options& options, int nics, Report& report) {
  ASSIGN_OR_RETURN(
      const auto system,
      SystemUnderTest::Start({.scenario = MakeScenario({{.nics = nics}}),
                              .bin_dir = options.bin_dir}));
  RETURN_IF_ERROR(system->WaitForLinks(nics, 60000));
  std::vector<std::unique_ptr<packet_stream::Session>> sessions;
  for (int i = 0; i < nics; ++i) {
    ASSIGN_OR_RETURN(auto session, packet_stream::Session::Open(
                                       {.socket = system->session_socket(),
                                        .label = "idle",
                                        .instance = absl::StrCat("nic", i),
                                        .geometry = {}}));
    sessions.push_back(std::move(session));
  }
  ASSIGN_OR_RETURN(const auto kinds, KindOfEach(*system));
  // What the start left to do ends first.
  ::sleep(2);
  std::map<int, Use> before;
  for (const auto& [pid, kind] : kinds) before[pid] = ReadUse(pid);
  const uint64_t begin = MonotonicNs();
  ::sleep(options["seconds"]);
  const double elapsed_ns = MonotonicNs() - begin;
  std::map<std::string, Use> by_kind;
  for (const auto& [pid, kind] : kinds) {
    const Use after = ReadUse(pid);
    for (Use* sum : {&by_kind[kind], &by_kind["all"]}) {
      sum->run_ns += after.run_ns - before[pid].run_ns;
      sum->wakeups += after.wakeups - before[pid].wakeups;
    }
  }
  for (const auto& [kind, use] : by_kind) {
    const std::string prefix = absl::StrCat(nics, "_nics_", kind);
    // Below half a percent of one CPU rounds to the budget's 0 %.
    report.Add({.name = prefix + "_cpu",
                .value = 100.0 * use.run_ns / elapsed_ns,
                .unit = "%",
                .against = kind == "all" ? "budget (rounds to 0 %)" : "",
                .against_value = kind == "all" ? 0.5 : 0,
                .note = "of one CPU"});
    report.Add({.name = prefix + "_wakeups",
                .value = use.wakeups * 1e9 / elapsed_ns,
                .unit = "1/s"});
  }
  sessions.clear();
  return system->Down(30000);
}

absl::Status Main(const Options& options) {
  Report report("idle", options.json);
  for (const int nics : {8, 64}) {
    if (nics > options["max_nics"]) continue;
    RETURN_IF_ERROR(Measure(options, nics, report));
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace bulkhead::bench

int main(int argc, char** argv) {
  const auto options = bulkhead::bench::Options::Parse(
      argc, argv, {{"seconds", 10}, {"max_nics", 64}});
  const absl::Status status = bulkhead::bench::Main(options);
  if (status.ok()) return 0;
  std::fprintf(stderr, "bench idle: %s\n",
               std::string(status.message()).c_str());
  return 1;
}
