#include "clients/bulkhead/extcap.h"

#include <CLI/CLI.hpp>
#include <iostream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/errno_status.h"
#include "base/stop_signal.h"
#include "clients/arguments/version.h"
#include "clients/bulkhead/command_line.h"
#include "clients/bulkhead/connection.h"
#include "clients/bulkhead/run_dir.h"
#include "clients/capture/capture_run.h"

namespace bulkhead::cli {
namespace {

// Wireshark's names are those of all of its interfaces: ours say whose they
// are, so that nic0 is not taken for an interface of the kernel.
constexpr char kPrefix[] = "bulkhead-";
// It must not wait for its list for long.
constexpr uint32_t kDeadlineMs = 1000;

struct ExtcapCall {
  bool interfaces = false;
  bool dlts = false;
  bool config = false;
  bool capture = false;
  std::string interface;
  std::string fifo;
  std::string filter;

  std::string Instance() const {
    return std::string(absl::StripPrefix(interface, kPrefix));
  }
};

bool Parse(int argc, const char* const* argv, ExtcapCall& call) {
  CLI::App app{"Called by Wireshark."};
  app.allow_extras();  // Newer versions of it may say more.
  app.add_flag("--extcap-interfaces", call.interfaces);
  app.add_flag("--extcap-dlts", call.dlts);
  app.add_flag("--extcap-config", call.config);
  app.add_flag("--capture", call.capture);
  app.add_option("--extcap-interface", call.interface);
  app.add_option("--extcap-capture-filter", call.filter);
  app.add_option("--fifo", call.fifo);
  std::string version;
  app.add_option("--extcap-version", version)->expected(0, 1);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::cerr << "bulkhead: extcap: " << error.what() << "\n";
    return false;
  }
  return true;
}

// No system is no error: Wireshark asks each plug-in at each start.
void ListInterfaces(const RunDir& run_dir) {
  std::cout << "extcap {version=" << kVersion << "}{display=Bulkhead}\n";
  const auto connection = Connection::Create(run_dir, kDeadlineMs);
  const auto status = connection->GetStatus();
  if (!status.ok()) return;
  for (const api::Instance& instance : status->instance()) {
    std::cout << "interface {value=" << kPrefix << instance.name()
              << "}{display=Bulkhead " << instance.name() << ", "
              << instance.device() << "}\n";
  }
}

absl::Status Capture(const ExtcapCall& call, const RunDir& run_dir) {
  const StopSignal stop;
  capture::CaptureTotals totals;
  return capture::CaptureRun::Run({.socket = run_dir.SessionSocket(),
                                   .instance = call.Instance(),
                                   .filter = call.filter,
                                   .file = call.fifo},
                                  stop.fd(), &totals);
}

// Wireshark asks like this whether a capture filter is right.
absl::Status CheckFilter(const ExtcapCall& call) {
  return capture::FrameFilter::Compile(call.filter).status();
}

absl::Status Answer(const ExtcapCall& call, const RunDir& run_dir) {
  if (call.interfaces) {
    ListInterfaces(run_dir);
  } else if (call.dlts) {
    std::cout << "dlt {number=1}{name=EN10MB}{display=Ethernet}\n";
  } else if (call.capture) {
    if (call.fifo.empty()) {
      return absl::InvalidArgumentError("extcap: --capture without --fifo");
    }
    return Capture(call, run_dir);
  } else if (!call.filter.empty()) {
    return CheckFilter(call);
  }
  return absl::OkStatus();  // --extcap-config: there is nothing to set.
}

}  // namespace

bool IsExtcapCall(int argc, const char* const* argv) {
  for (int i = 1; i < argc; ++i) {
    if (absl::StartsWith(argv[i], "--extcap-")) return true;
  }
  return false;
}

int RunExtcap(int argc, const char* const* argv) {
  ExtcapCall call;
  if (!Parse(argc, argv, call)) return kUsage;
  const auto run_dir = RunDir::Resolve("");
  const absl::Status status =
      run_dir.ok() ? Answer(call, *run_dir) : run_dir.status();
  if (status.ok()) return kOk;
  std::cerr << "bulkhead: " << status.message() << "\n";
  return kFailure;
}

}  // namespace bulkhead::cli
