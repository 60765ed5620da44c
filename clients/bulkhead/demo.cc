// The main job, to look at: NICs side by side under traffic, one driver killed,
// one stopped, and what the links have to say about it afterwards.
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/clock.h"
#include "base/errno_status.h"
#include "base/stop_signal.h"
#include "clients/bulkhead/await_links.h"
#include "clients/bulkhead/commands.h"
#include "clients/bulkhead/connection.h"
#include "clients/bulkhead/demo_links.h"
#include "clients/bulkhead/demo_traffic.h"
#include "clients/bulkhead/supervisor_process.h"
#include "clients/bulkhead/table.h"

namespace bulkhead::cli {
namespace {

constexpr uint32_t kUpMs = 15'000;
constexpr int kLookMs = 50;
// The faults, as parts of the traffic's length.
constexpr double kKillAt = 0.25;
constexpr double kStopAt = 0.55;
// Traffic that has not ended this long after its time never will.
constexpr double kGraceSeconds = 5;

// A directory of its own that goes away with its object.
class PrivateDirectory {
 public:
  static absl::StatusOr<std::unique_ptr<PrivateDirectory>> Create() {
    std::string path = "/tmp/bulkhead-demo.XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) {
      return ErrnoStatus("make a directory in /tmp for the demo");
    }
    return std::make_unique<PrivateDirectory>(path);
  }
  explicit PrivateDirectory(std::string path) : path_(std::move(path)) {}
  ~PrivateDirectory() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// configs/eight_nics.yaml, with as many NICs as asked for.
std::string ScenarioText(uint32_t nics) {
  std::string text = "apiVersion: bulkhead/v1\nsimulated:\n";
  for (uint32_t i = 0; i < nics; ++i) {
    absl::StrAppend(&text, "  - {name: port", i,
                    ", model: 82574l, network: {echo: {}}}\n");
  }
  absl::StrAppend(&text,
                  "drivers:\n"
                  "  - match: {class: ethernet, vendor: 0x8086, device: "
                  "0x10d3}\n"
                  "    driver: e1000e\n"
                  "    instance: nic{index}\n"
                  "    standby: true\n");
  return text;
}

class Demo {
 public:
  Demo(const DemoOptions& options, const Context& context)
      : options_(options), context_(context), console_(context.console) {
    for (uint32_t i = 0; i < options.nics; ++i) {
      links_.push_back({.instance = absl::StrCat("nic", i)});
    }
    links_[options.nics / 4].treatment = Treatment::kKilled;
    links_[options.nics * 5 / 8].treatment = Treatment::kStopped;
  }

  // Everything but bringing the system down again.
  absl::Status Run(const std::string& scenario, const StopSignal& stop) {
    Explain();
    const uint64_t started_ns = MonotonicNs();
    ASSIGN_OR_RETURN(const RunningSupervisor supervisor,
                     StartSupervisor(scenario, context_));
    std::vector<std::string> names;
    for (const DemoLink& link : links_) names.push_back(link.instance);
    RETURN_IF_ERROR(
        AwaitLinks(
            names, supervisor, kUpMs, [&] { return stop.Came(); }, context_)
            .status());
    Say(absl::StrCat(options_.nics, " drivers up in ",
                     Duration(MonotonicNs() - started_ns), ".\n\n"));
    connection_ = Connection::Create(context_.run_dir);
    RETURN_IF_ERROR(StartTraffic());
    RETURN_IF_ERROR(Watch(stop));
    RETURN_IF_ERROR(Collect());
    return Judge();
  }

 private:
  // Words for people; with --json there is only the document at the end.
  void Say(const std::string& text) const {
    if (!console_.json) console_.out << text << std::flush;
  }

  void Explain() const {
    Say(absl::StrFormat(
        "%d simulated NICs, each with a driver process of its own, each "
        "echoing "
        "%d numbered frames a second.\nAfter %.1f s the driver of %s is "
        "killed, "
        "after %.1f s that of %s hangs: only those two links may pause.\n\n",
        options_.nics, options_.rate, options_.seconds * kKillAt,
        Treated(Treatment::kKilled).instance, options_.seconds * kStopAt,
        Treated(Treatment::kStopped).instance));
  }

  const DemoLink& Treated(Treatment treatment) const {
    return *std::find_if(
        links_.begin(), links_.end(),
        [&](const DemoLink& link) { return link.treatment == treatment; });
  }

  absl::Status StartTraffic() {
    for (const DemoLink& link : links_) {
      ASSIGN_OR_RETURN(
          traffic_.emplace_back(),
          TrafficProcess::Start(
              context_.bin_dir + "/clients/nic_traffic/nic_traffic",
              {absl::StrCat("--instance=", link.instance), "--label=demo",
               absl::StrCat("--run-dir=", context_.run_dir.path()),
               absl::StrCat("--rate=", options_.rate), "--drain-ms=1000",
               absl::StrCat("--duration=", options_.seconds)}));
    }
    return absl::OkStatus();
  }

  absl::Status Watch(const StopSignal& stop) {
    const uint64_t start_ns = MonotonicNs();
    uint64_t next_line_ns = start_ns + 1'000'000'000;
    bool all_ended = false;
    while (!all_ended) {
      pollfd watched = {.fd = stop.fd(), .events = POLLIN, .revents = 0};
      if (::poll(&watched, 1, kLookMs) > 0) {
        return absl::CancelledError("interrupted");
      }
      all_ended = true;
      for (size_t i = 0; i < links_.size(); ++i) {
        traffic_[i]->Look();
        links_[i].live = traffic_[i]->live();
        all_ended = all_ended && traffic_[i]->ended();
      }
      const uint64_t now_ns = MonotonicNs();
      const double seconds = static_cast<double>(now_ns - start_ns) / 1e9;
      RETURN_IF_ERROR(DoFaults(seconds));
      if (console_.out_is_terminal) {
        Redraw();
      } else if (now_ns >= next_line_ns) {
        next_line_ns += 1'000'000'000;
        Say(LiveLine(links_, seconds));
      }
      if (seconds > options_.seconds + kGraceSeconds) {
        return absl::DeadlineExceededError(
            "nic_traffic did not end in its time");
      }
    }
    Say("\n");
    return absl::OkStatus();
  }

  absl::Status DoFaults(double seconds) {
    for (DemoLink& link : links_) {
      if (link.fault_ns != 0) continue;
      if (link.treatment == Treatment::kKilled &&
          seconds >= options_.seconds * kKillAt) {
        RETURN_IF_ERROR(Send(link, SIGKILL, seconds));
      }
      if (link.treatment == Treatment::kStopped &&
          seconds >= options_.seconds * kStopAt) {
        RETURN_IF_ERROR(Send(link, SIGSTOP, seconds));
      }
    }
    return absl::OkStatus();
  }

  absl::Status Send(DemoLink& link, int signal, double seconds) {
    if (!console_.out_is_terminal) {
      Say(absl::StrFormat("  %4.1f s  %s to the driver of %s\n", seconds,
                          SignalName(signal), link.instance));
    }
    api::KillRequest request;
    request.set_name(link.instance);
    request.set_signal(signal);
    link.fault_ns = MonotonicNs();
    return connection_->Kill(request).status();
  }

  // Draws the table over the last one.
  void Redraw() {
    if (console_.json) return;
    const std::string table = LiveTable(links_, console_);
    if (drawn_lines_ > 0) console_.out << "\033[" << drawn_lines_ << "A\033[J";
    console_.out << table << std::flush;
    drawn_lines_ = std::count(table.begin(), table.end(), '\n');
  }

  absl::Status Collect() {
    for (size_t i = 0; i < links_.size(); ++i) {
      const absl::StatusOr<TrafficResult> result = traffic_[i]->Result();
      if (!result.ok()) {
        return absl::UnavailableError(absl::StrCat("traffic on ",
                                                   links_[i].instance, ": ",
                                                   result.status().message()));
      }
      links_[i].result = *result;
    }
    ASSIGN_OR_RETURN(const api::Status status, connection_->GetStatus());
    for (DemoLink& link : links_) {
      for (const api::Instance& instance : status.instance()) {
        if (instance.name() != link.instance) continue;
        link.restarts = instance.restarts();
        link.counted_drops = CountedDrops(instance);
      }
    }
    return connection_->WatchEvents({}, [&](const api::Event& event) {
      for (DemoLink& link : links_) {
        if (event.process() == link.instance && event.kind() == "died" &&
            link.died_ns == 0) {
          link.died_ns = event.time_ns();
        }
      }
      return true;
    });
  }

  // Frames that were dropped with a name, on the way out or back (S8). Frames
  // that the NIC wrote to memory and the dead driver did not hand on are the
  // difference between what the NIC and the drivers counted.
  static uint64_t CountedDrops(const api::Instance& instance) {
    uint64_t drops = 0;
    uint64_t written = 0;
    uint64_t handed_on = 0;
    for (const api::Counter& counter : instance.model_counter()) {
      const std::string& name = counter.name();
      if (name == "rx_missed" || name == "rx_disabled" ||
          name == "network_dropped") {
        drops += counter.value();
      }
      if (name == "rx_frames") written = counter.value();
    }
    for (const api::Counter& counter : instance.counter()) {
      if (counter.name() == "rx_packets") handed_on = counter.value();
    }
    return drops + (written > handed_on ? written - handed_on : 0);
  }

  absl::Status Judge() const {
    if (console_.json) {
      console_.out << ResultJson(links_) << "\n";
    } else {
      Say(ResultTable(links_, console_));
    }
    std::string faults;
    for (const DemoLink& link : links_) {
      const std::string fault = link.Fault();
      if (!fault.empty()) {
        absl::StrAppend(&faults, faults.empty() ? "" : "; ", link.instance, " ",
                        fault);
      }
    }
    if (!faults.empty()) return absl::DataLossError(faults);
    Say(absl::StrCat(
        "\n  The hang was noticed and ended after ",
        Duration(Treated(Treatment::kStopped).NoticedNs()),
        "; every frame is accounted for, and no session was reopened.\n"));
    return absl::OkStatus();
  }

  const DemoOptions& options_;
  const Context& context_;
  const Console& console_;
  std::vector<DemoLink> links_;
  std::vector<std::unique_ptr<TrafficProcess>> traffic_;
  std::unique_ptr<Connection> connection_;
  int64_t drawn_lines_ = 0;
};

}  // namespace

absl::Status RunCommand(const DemoOptions& options, const Context& context) {
  const StopSignal stop;
  ASSIGN_OR_RETURN(const auto directory, PrivateDirectory::Create());
  ASSIGN_OR_RETURN(const RunDir run_dir,
                   RunDir::Resolve(directory->path() + "/run"));
  const Context own = {.console = context.console,
                       .run_dir = run_dir,
                       .bin_dir = context.bin_dir};
  const std::string scenario = directory->path() + "/demo.yaml";
  std::ofstream(scenario) << ScenarioText(options.nics);

  absl::Status status;
  {
    Demo demo(options, own);
    status = demo.Run(scenario, stop);
  }  // Traffic ends before the system that it uses.
  const absl::StatusOr<ShutDownReport> down = ShutDown(own);
  if (!down.ok()) return down.status();
  if (!down->forced.empty()) context.console.Warn(down->forced);
  return status;
}

}  // namespace bulkhead::cli
