// Private memory of each kind of process at 1, 8 and 64 NICs. Rings and frames
// are shared memory and stand in lines of their own.
#include <cstdio>
#include <map>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "tests/bench/echo_client.h"
#include "tests/bench/floors.h"
#include "tests/bench/memory_map.h"
#include "tests/bench/options.h"
#include "tests/bench/report.h"
#include "tests/bench/system_under_test.h"

namespace bulkhead::bench {
namespace {

constexpr double kBudgetKib = 1024;

struct Kind {
  Samples private_kib;
  Samples shared_kib;
  Samples resident_kib;
};

absl::Status AddProcess(int pid, Kind& kind) {
  ASSIGN_OR_RETURN(const MemoryUse use, ReadMemoryUse(pid));
  kind.private_kib.Add(use.private_dirty);
  kind.shared_kib.Add(use.shared_dirty);
  kind.resident_kib.Add(use.resident);
  return absl::OkStatus();
}

// Runs frames over some of the links first: an instance that never moved a
// frame would look smaller than it is.
absl::Status UseLinks(const SystemUnderTest& system, int nics) {
  std::vector<std::string> names;
  for (int i = 0; i < std::min(nics, 8); ++i) {
    names.push_back(absl::StrCat("nic", i));
  }
  EchoClient::Options client;
  client.socket = system.session_socket();
  ASSIGN_OR_RETURN(const auto thread, StartEcho(names, client));
  ::usleep(300'000);
  thread->Stop();
  for (size_t i = 0; i < thread->size(); ++i) {
    if (thread->client(i).counts().received == 0) {
      return absl::InternalError(absl::StrCat(names[i], " moved no frame"));
    }
  }
  return absl::OkStatus();
}

absl::Status Measure(const Options& options, int nics, double floor_kib,
                     Report& report) {
  ASSIGN_OR_RETURN(
      const auto system,
      SystemUnderTest::Start({.scenario = MakeScenario({{.nics = nics}}),
                              .bin_dir = options.bin_dir}));
  RETURN_IF_ERROR(system->WaitForLinks(nics, 60000));
  RETURN_IF_ERROR(UseLinks(*system, nics));
  ASSIGN_OR_RETURN(const v1::Status status, system->GetStatus());
  std::map<std::string, Kind> kinds;
  for (const v1::Process& process : status.process()) {
    if (process.pid() > 0) {
      RETURN_IF_ERROR(AddProcess(process.pid(), kinds[process.kind()]));
    }
  }
  if (kinds["supervisor"].private_kib.count() == 0) {
    RETURN_IF_ERROR(AddProcess(system->supervisor_pid(), kinds["supervisor"]));
  }
  for (const auto& [name, kind] : kinds) {
    const std::string prefix = absl::StrCat(nics, "_nics_", name);
    const bool driver = name == "driver";
    report.AddMedian(prefix + "_private_dirty", kind.private_kib, "KiB",
                     driver ? "budget" : "floor static child",
                     driver ? kBudgetKib : floor_kib);
    report.AddMedian(prefix + "_shared_dirty", kind.shared_kib, "KiB");
    report.AddMedian(prefix + "_resident", kind.resident_kib, "KiB");
  }
  return system->Down(30000);
}

absl::Status Main(const Options& options) {
  Report report("memory", options.json);
  ASSIGN_OR_RETURN(const double floor_kib,
                   ChildPrivateKib(FloorChild(options.bin_dir)));
  report.Add({.name = "floor_static_child_private_dirty",
              .value = floor_kib,
              .unit = "KiB",
              .note = "static, protobuf-lite, no work"});
  for (const int nics : {1, 8, 64}) {
    if (nics > options["max_nics"]) continue;
    RETURN_IF_ERROR(Measure(options, nics, floor_kib, report));
  }
  report.Say(
      "private_dirty: written pages of private mappings, the same for each "
      "process.\nshared_dirty: rings, control areas, status and counter pages; "
      "the client's quota or the platform pays for them.");
  return absl::OkStatus();
}

}  // namespace
}  // namespace bulkhead::bench

int main(int argc, char** argv) {
  const auto options =
      bulkhead::bench::Options::Parse(argc, argv, {{"max_nics", 64}});
  const absl::Status status = bulkhead::bench::Main(options);
  if (status.ok()) return 0;
  std::fprintf(stderr, "bench memory: %s\n",
               std::string(status.message()).c_str());
  return 1;
}
