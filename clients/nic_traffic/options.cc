#include "clients/nic_traffic/options.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "clients/arguments/arguments.h"
#include "clients/arguments/version.h"

namespace bulkhead::nic_traffic {
namespace {

// "02:00:00:00:00:01"; an empty message means that it is one.
std::string ParseMac(const std::string& text, MacAddress& mac) {
  unsigned byte[6];
  int used = 0;
  if (std::sscanf(text.c_str(), "%2x:%2x:%2x:%2x:%2x:%2x%n", &byte[0], &byte[1],
                  &byte[2], &byte[3], &byte[4], &byte[5], &used) != 6 ||
      static_cast<size_t>(used) != text.size()) {
    return absl::StrCat("'", text,
                        "' is no MAC address; write six bytes in hexadecimal, "
                        "e.g. 02:00:00:00:00:01");
  }
  for (size_t i = 0; i < 6; ++i) mac[i] = static_cast<uint8_t>(byte[i]);
  return "";
}

// "echo", "send", "receive"; an empty message means that it is one.
std::string ParseMode(const std::string& text, Mode& mode) {
  if (text == "echo") {
    mode = Mode::kEcho;
  } else if (text == "send") {
    mode = Mode::kSend;
  } else if (text == "receive") {
    mode = Mode::kReceive;
  } else {
    return absl::StrCat("'", text, "' is no mode; write echo, send or receive");
  }
  return "";
}

std::string CheckTogether(const Options& options) {
  const TrafficOptions& traffic = options.traffic;
  if (traffic.frame_bytes > options.open.geometry.buffer_bytes) {
    return absl::StrCat("--frame-bytes ", traffic.frame_bytes,
                        " does not fit a buffer of ",
                        options.open.geometry.buffer_bytes,
                        " bytes; give a larger --buffer-bytes");
  }
  if (traffic.frame_bytes > 65535) {
    return "--frame-bytes: a descriptor holds at most 65535";
  }
  const absl::Status geometry =
      packet_stream::CheckGeometry(options.open.geometry);
  return geometry.ok() ? "" : std::string(geometry.message());
}

}  // namespace

std::optional<Options> ParseOptions(int argc, const char* const* argv,
                                    int& exit_code) {
  Options options;
  options.open.instance = "nic0";
  options.open.label = "nic_traffic";
  TrafficOptions& traffic = options.traffic;
  traffic.duration_ms = 0;
  traffic.stream = (static_cast<uint32_t>(::getpid()) << 8 ^
                    static_cast<uint32_t>(MonotonicNs())) |
                   1;
  std::string duration;
  std::string mode = "echo";
  std::string to;
  std::string run_dir;
  bool resubmit = false;

  CLI::App app{
      "Sends numbered, checksummed frames on a packet-stream session and "
      "checks what comes back.",
      "nic_traffic"};
  app.footer(
      "Exit status: 0 done, 1 failure (or loss with --expect-lossless), 2 "
      "usage.\nExample: nic_traffic --instance nic0 --rate 5000 --duration 10");
  app.set_version_flag("--version", absl::StrCat("nic_traffic ", kVersion));
  app.add_option("-i,--instance", options.open.instance, "The NIC's instance")
      ->capture_default_str();
  app.add_option("--label", options.open.label,
                 "Who asks; the scenario's `clients` say what it may open")
      ->capture_default_str();
  app.add_option("--run-dir,--run_dir", run_dir,
                 "Run directory of the system (default: $BULKHEAD_RUN_DIR)");
  app.add_option("--mode", mode,
                 "echo: what is sent comes back; send; receive: what another "
                 "nic_traffic sends")
      ->option_text("echo|send|receive");
  app.add_option("-r,--rate", traffic.rate,
                 "Frames a second; 0: as fast as they go")
      ->check(CLI::Range(uint64_t{0}, uint64_t{1'000'000'000}))
      ->capture_default_str();
  app.add_option("-n,--count", traffic.count, "Frames; 0: no limit")
      ->capture_default_str();
  app.add_option("-t,--duration", duration,
                 "Seconds, or 500ms, 5s, 2m; 0: no limit (default: 5, or none "
                 "with --count)");
  app.add_option("-s,--frame-bytes", traffic.frame_bytes,
                 "Size of a frame without FCS")
      ->check(CLI::Range(uint32_t{kMinFrameBytes}, uint32_t{65535}))
      ->capture_default_str();
  app.add_option("--batch", traffic.batch, "Most frames per call")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  app.add_option("--window", traffic.window,
                 "Most frames sent ahead of the last one received; 0: no limit "
                 "(default: 128 in echo mode without --rate)");
  app.add_option("--tick-us", traffic.tick_us,
                 "With --rate, the frames of one tick go together")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option("--drain-ms", traffic.drain_ms,
                 "Longest wait for the last frames")
      ->check(CLI::Range(0, 3'600'000))
      ->capture_default_str();
  app.add_option("--link-ms", traffic.link_ms,
                 "Longest wait for the link before the start")
      ->check(CLI::Range(0, 3'600'000))
      ->capture_default_str();
  app.add_option("--to", to,
                 "Destination MAC (default: 02:00:00:00:00:01 in echo mode, "
                 "else broadcast)");
  app.add_option("--stream", traffic.stream,
                 "Number that marks this sender's frames (default: random; "
                 "when receiving, the first one seen)");
  app.add_option("--tx-buffers", options.open.geometry.tx_buffers,
                 "Frames that wait to be sent; a power of two")
      ->capture_default_str();
  app.add_option("--rx-buffers", options.open.geometry.rx_buffers,
                 "Buffers for received frames; a power of two")
      ->capture_default_str();
  app.add_option("--buffer-bytes", options.open.geometry.buffer_bytes,
                 "Size of each; a power of two from 256 to 65536")
      ->capture_default_str();
  app.add_flag("--resubmit", resubmit,
               "After a driver's death send unacknowledged frames again (at "
               "least once) instead of counting them indeterminate");
  app.add_flag("--expect-lossless", options.expect_lossless,
               "Exit 1 when a frame was lost, doubled or altered");
  app.add_option("--progress-fd", options.progress_fd,
                 "Write the live counters there, a JSON object a line each "
                 "100 ms");
  app.add_flag("--json", options.json, "Report as one JSON document");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    exit_code = arguments::SayWhatIsWrong(app, error);
    return std::nullopt;
  }

  std::string problem = ParseMode(mode, traffic.mode);
  if (duration.empty() && traffic.count == 0) duration = "5s";
  if (app.count("--window") == 0 && traffic.rate == 0 &&
      traffic.mode == Mode::kEcho) {
    traffic.window = 128;
  }
  if (app.count("--stream") == 0 && traffic.mode == Mode::kReceive) {
    traffic.stream = 0;
  }
  if (to.empty()) {
    to =
        traffic.mode == Mode::kEcho ? "02:00:00:00:00:01" : "ff:ff:ff:ff:ff:ff";
  }
  if (problem.empty()) problem = ParseMac(to, traffic.destination);
  if (problem.empty()) {
    problem = arguments::ParseDuration(duration, traffic.duration_ms);
  }
  if (problem.empty()) problem = CheckTogether(options);
  if (!problem.empty()) {
    std::cerr << "nic_traffic: " << problem << "\n";
    exit_code = arguments::kUsage;
    return std::nullopt;
  }
  if (resubmit) options.open.on_restart = packet_stream::OnRestart::kResubmit;
  if (!run_dir.empty()) {
    options.open.socket = absl::StrCat(run_dir, "/session.sock");
  }
  traffic.instance = options.open.instance;
  return options;
}

}  // namespace bulkhead::nic_traffic
