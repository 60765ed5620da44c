#include "clients/nic_tap/options.h"

#include <net/if.h>

#include <CLI/CLI.hpp>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "clients/arguments/arguments.h"
#include "clients/arguments/version.h"

namespace bulkhead::nic_tap {
namespace {

// As the kernel has it (dev_valid_name); empty when it is a name.
std::string CheckInterfaceName(const std::string& name) {
  const bool good = !name.empty() && name.size() < IFNAMSIZ && name != "." &&
                    name != ".." &&
                    name.find_first_of("/: \t\n%") == std::string::npos;
  if (good) return "";
  return absl::StrCat("'", name, "' cannot be the name of an interface: 1 to ",
                      IFNAMSIZ - 1, " characters, no `/`, `:` or space");
}

std::string CheckTogether(const Options& options) {
  const std::string name = CheckInterfaceName(options.tap);
  if (!name.empty()) return name;
  const absl::Status geometry =
      packet_stream::CheckGeometry(options.open.geometry);
  if (!geometry.ok()) return std::string(geometry.message());
  if (options.open.geometry.tx_buffers < 64) {
    return "--buffers: at least 64, so that a segment of 64 KiB fits";
  }
  return "";
}

}  // namespace

std::optional<Options> ParseOptions(int argc, const char* const* argv,
                                    int& exit_code) {
  Options options;
  options.open.instance = "nic0";
  options.open.label = "nic_tap";
  // A segment of 64 KiB has to fit into kMaxFramePieces buffers.
  options.open.geometry.buffer_bytes = 4096;
  uint32_t buffers = 1024;
  std::string run_dir;
  bool at_most_once = false;

  CLI::App app{
      "Joins a NIC's instance to a TAP device, so that the Linux network stack "
      "and any\nprogram run over it. Ends with SIGINT or SIGTERM; the device "
      "goes with it.",
      "nic_tap"};
  app.footer(
      "Exit status: 0 ended by a signal, 1 failure, 2 usage.\n"
      "Example: ip netns add lab && nic_tap -i nic0 --netns lab --up &\n"
      "         ip -n lab addr add 192.0.2.1/24 dev nic0");
  app.set_version_flag("--version", absl::StrCat("nic_tap ", kVersion));
  app.add_option("-i,--instance", options.open.instance, "The NIC's instance")
      ->capture_default_str();
  app.add_option("--tap", options.tap,
                 "Name of the TAP device (default: the instance's)");
  app.add_option("--netns", options.netns,
                 "Network namespace: a name of `ip netns`, or a path "
                 "(default: this one)");
  app.add_flag("--up", options.up, "Bring the interface up");
  app.add_option("--label", options.open.label,
                 "Who asks; the scenario's `clients` say what it may open")
      ->capture_default_str();
  app.add_option("--run-dir,--run_dir", run_dir,
                 "Run directory of the system (default: $BULKHEAD_RUN_DIR)");
  app.add_option("--buffers", buffers,
                 "Buffers of 4 KiB each way; a power of two")
      ->capture_default_str();
  app.add_flag("--at-most-once", at_most_once,
               "After a driver's death do not send unacknowledged frames "
               "again: none is doubled, more are lost");
  app.add_flag("--json", options.json,
               "At the end, the counters as one JSON document");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    exit_code = arguments::SayWhatIsWrong(app, error);
    return std::nullopt;
  }
  if (options.tap.empty()) options.tap = options.open.instance;
  options.open.geometry.tx_buffers = buffers;
  options.open.geometry.rx_buffers = buffers;
  options.open.on_restart = at_most_once
                                ? packet_stream::OnRestart::kCountIndeterminate
                                : packet_stream::OnRestart::kResubmit;
  if (!run_dir.empty()) {
    options.open.socket = absl::StrCat(run_dir, "/session.sock");
  }
  if (const std::string problem = CheckTogether(options); !problem.empty()) {
    std::cerr << "nic_tap: " << problem << "\n";
    exit_code = arguments::kUsage;
    return std::nullopt;
  }
  return options;
}

}  // namespace bulkhead::nic_tap
