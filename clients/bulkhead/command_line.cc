#include "clients/bulkhead/command_line.h"

#include <CLI/CLI.hpp>
#include <cctype>
#include <csignal>
#include <cstring>
#include <iostream>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "clients/arguments/arguments.h"
#include "clients/arguments/version.h"
#include "platform_service/policy/suggestion.h"

namespace bulkhead::cli {
namespace {

// Parsed values of every command; the one that was given is picked at the end.
struct Parsed {
  DemoOptions demo;
  ValidateOptions validate;
  PlanOptions plan;
  UpOptions up;
  StatusOptions status;
  KillOptions kill;
  std::string kill_signal = "KILL";
  RestartOptions restart;
  ApplyOptions apply;
  EventsOptions events;
  LogsOptions logs;
  DevicesOptions devices;
  DoctorOptions doctor;
  CaptureOptions capture;
  RouterOptions router;
  std::string capture_duration;
};

template <typename Command>
void AddWait(CLI::App& app, Command& options) {
  app.add_flag_callback(
      "--no-wait", [&options] { options.wait = false; },
      "Return at once, not when every link is up");
  app.add_option("--timeout-ms", options.timeout_ms,
                 "Longest wait for the links")
      ->check(CLI::Range(1, 3'600'000))
      ->capture_default_str();
}

CLI::Option* AddRoot(CLI::App& app, std::string& root) {
  return app
      .add_option("--root", root,
                  "Folder with the /sys, /proc and /dev of a recorded machine")
      ->check(CLI::ExistingDirectory);
}

void AddScenarioCommands(CLI::App& app, Parsed& parsed) {
  CLI::App* demo = app.add_subcommand(
      "demo", "Show the main job: NICs side by side, one driver killed");
  demo->add_option("--seconds", parsed.demo.seconds, "Length of the traffic")
      ->check(CLI::Range(4.0, 3600.0))
      ->capture_default_str();
  demo->add_option("--nics", parsed.demo.nics, "Number of NICs")
      ->check(CLI::Range(3, 64))
      ->capture_default_str();
  demo->add_option("--rate", parsed.demo.rate, "Frames a second on each link")
      ->check(CLI::Range(10, 1'000'000))
      ->capture_default_str();

  CLI::App* validate = app.add_subcommand(
      "validate", "Check scenario files: every error in one pass");
  validate->add_option("FILE", parsed.validate.files)->required();

  CLI::App* plan = app.add_subcommand(
      "plan", "Show device, rule, driver and instance; starts nothing");
  plan->add_option("FILE", parsed.plan.file)->required();
  plan->add_flag("-a,--all", parsed.plan.all,
                 "Also the devices that no rule matches");

  CLI::App* up = app.add_subcommand("up", "Bring a scenario up");
  up->add_option("FILE", parsed.up.file)->required();
  AddWait(*up, parsed.up);
  up->add_flag("-f,--foreground", parsed.up.foreground,
               "Stay; Ctrl-C brings it down");

  app.add_subcommand("down", "End everything and give everything back");

  CLI::App* apply = app.add_subcommand(
      "apply", "Change the running system to a scenario: only what differs");
  apply->add_option("FILE", parsed.apply.file)->required();
  apply->add_flag("-n,--dry-run", parsed.apply.dry_run,
                  "Say what would be done, and do nothing");
  AddWait(*apply, parsed.apply);
}

void AddCapture(CLI::App& app, Parsed& parsed) {
  CLI::App* capture = app.add_subcommand(
      "capture", "Write frames as pcapng: of an instance, or of the router");
  CaptureOptions& options = parsed.capture;
  capture
      ->add_option("INSTANCE", options.instance,
                   "nic0; router, or router/LABEL for one of its clients")
      ->required();
  capture->add_option("-d,--domain", options.domain,
                      "Of the router: this domain's clients and uplinks");
  capture->add_option("-f,--filter", options.filter,
                      "Only what this lets through, as tcpdump has it");
  capture->add_option("-w,--write", options.file, "File; -: standard output")
      ->capture_default_str();
  capture->add_option("-c,--count", options.count, "Frames; 0: no limit")
      ->capture_default_str();
  capture->add_option("-t,--duration", parsed.capture_duration,
                      "Seconds, or 500ms, 5s, 2m (default: no limit)");
  capture
      ->add_option("-s,--snap-bytes", options.snap_bytes,
                   "Bytes kept of each frame")
      ->check(CLI::Range(1, 65535))
      ->capture_default_str();
}

void AddRouter(CLI::App& app, Parsed& parsed) {
  CLI::App* router = app.add_subcommand(
      "router", "What the router knows: links, leases, …; what it would do");
  router->require_subcommand(1);
  constexpr struct {
    const char* name;
    const char* about;
  } kTables[] = {
      {"links", "Flows that are let through, with their addresses and ages"},
      {"domains", "IP identities, members, counters"},
      {"rules", "Every rule with what it let through"},
      {"leases", "What its DHCP servers have lent"},
      {"arp", "Neighbours that it knows"},
      {"clients", "Sessions: label, domain, MAC address, counters"},
      {"uplinks", "Instances behind it, and which carries traffic"},
      {"counters", "What it counted, drops by their reason"},
  };
  for (const auto& table : kTables) {
    router->add_subcommand(table.name, table.about)
        ->callback([&parsed, name = table.name] { parsed.router.what = name; });
  }
  CLI::App* explain = router->add_subcommand(
      "explain", "What happens to a first packet, and why");
  explain
      ->add_option("QUESTION", parsed.router.question,
                   "tcp 10.0.1.5:443 from LABEL")
      ->required();
  explain->callback([&parsed] { parsed.router.what = "explain"; });
}

void AddLookCommands(CLI::App& app, Parsed& parsed) {
  app.add_subcommand("ps", "List processes");
  CLI::App* status = app.add_subcommand(
      "status", "Instances, links, sessions, counters, sandboxes");
  status->add_option("NAME", parsed.status.name, "One instance, in detail");
  CLI::App* devices = app.add_subcommand(
      "devices", "List NICs: names, drivers, IOMMU groups, who uses them");
  devices->add_option("DEVICE", parsed.devices.device,
                      "One in detail: an address, an interface or a name");
  devices->add_flag("-a,--all", parsed.devices.all,
                    "Also the devices that are no NICs");
  devices->add_option("--rules", parsed.devices.rules,
                      "Show which rules of this scenario match");
  AddRoot(*devices, parsed.devices.root);
  CLI::App* doctor = app.add_subcommand(
      "doctor", "Why a NIC cannot be driven, and what mends it");
  doctor->add_option("DEVICE", parsed.doctor.device,
                     "An address or an interface (default: every NIC)");
  CLI::Option* fix = doctor->add_flag(
      "--fix", parsed.doctor.fix,
      "Run what is safe: modprobe vfio-pci, this shell's memlock limit");
  fix->excludes(AddRoot(*doctor, parsed.doctor.root));

  CLI::App* events = app.add_subcommand(
      "events", "What happened: recoveries with microseconds since the death");
  events->add_option("NAME", parsed.events.name, "Only of this process");
  events->add_flag("-f,--follow", parsed.events.follow, "Go on with new ones");
  events->add_option("--after", parsed.events.after,
                     "Only events with a higher sequence number");

  CLI::App* logs = app.add_subcommand("logs", "What a process wrote");
  logs->add_option("NAME", parsed.logs.name)->required();
  logs->add_flag("-f,--follow", parsed.logs.follow, "Go on with new lines");
  logs->add_option("-n,--lines", parsed.logs.lines, "Only the last ones");
  AddCapture(app, parsed);
  AddRouter(app, parsed);
  app.add_subcommand("version", "Show the version");
}

void AddProcessCommands(CLI::App& app, Parsed& parsed) {
  CLI::App* kill = app.add_subcommand(
      "kill", "Send a signal to a driver, a model or the platform service");
  kill->add_option("NAME", parsed.kill.name)->required();
  kill->add_option("-s,--signal", parsed.kill_signal, "KILL, STOP, SEGV, …")
      ->capture_default_str();
  CLI::App* restart = app.add_subcommand(
      "restart",
      "Restart one in an orderly way; also brings a parked one back");
  restart->add_option("NAME", parsed.restart.name)->required();
}

// Moves the chosen command's values into `line`.
void Choose(const std::string& name, Parsed& parsed, CommandLine& line) {
  if (name == "demo") line.command = parsed.demo;
  if (name == "validate") line.command = parsed.validate;
  if (name == "plan") line.command = parsed.plan;
  if (name == "up") line.command = parsed.up;
  if (name == "down") line.command = DownOptions{};
  if (name == "ps") line.command = PsOptions{};
  if (name == "status") line.command = parsed.status;
  if (name == "kill") line.command = parsed.kill;
  if (name == "restart") line.command = parsed.restart;
  if (name == "apply") line.command = parsed.apply;
  if (name == "events") line.command = parsed.events;
  if (name == "logs") line.command = parsed.logs;
  if (name == "devices") line.command = parsed.devices;
  if (name == "doctor") line.command = parsed.doctor;
  if (name == "capture") line.command = parsed.capture;
  if (name == "router") line.command = parsed.router;
  if (name == "version") line.command = VersionOptions{};
}

std::vector<std::string> CommandNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands(nullptr)) {
    names.push_back(command->get_name());
  }
  return names;
}

// Returns the exit status: kOk when what is "wrong" is --help.
int SayWhatIsWrong(const CLI::App& app, const CLI::ParseError& error) {
  if (error.get_exit_code() == 0) {
    app.exit(error);
    return kOk;
  }
  if (!app.get_subcommands().empty()) {
    const std::string command = app.get_subcommands().front()->get_name();
    std::cerr << "bulkhead " << command << ": " << error.what()
              << "; see `bulkhead " << command << " --help`\n";
    return kUsage;
  }
  const std::vector<std::string> rest = app.remaining();
  if (rest.empty()) {
    std::cerr << app.help();
  } else {
    const bool option = absl::StartsWith(rest[0], "-");
    std::cerr << "bulkhead: there is no " << (option ? "option " : "command ")
              << rest[0] << "; "
              << (option
                      ? "see `bulkhead --help`"
                      : policy::Suggest(rest[0], CommandNames(app), "commands"))
              << "\n";
  }
  return kUsage;
}

}  // namespace

int ParseSignal(const std::string& text) {
  int number = 0;
  if (absl::SimpleAtoi(text, &number)) {
    return number >= 1 && number < SIGRTMIN ? number : 0;
  }
  const std::string upper = absl::AsciiStrToUpper(text);
  const absl::string_view name = absl::StripPrefix(upper, "SIG");
  for (int signal = 1; signal < SIGRTMIN; ++signal) {
    const char* abbreviation = ::sigabbrev_np(signal);
    if (abbreviation != nullptr && name == abbreviation) return signal;
  }
  return 0;
}

std::string SignalName(int signal) {
  const char* abbreviation = ::sigabbrev_np(signal);
  if (abbreviation == nullptr) return absl::StrCat("signal ", signal);
  return absl::StrCat("SIG", abbreviation);
}

bool ParseCommandLine(int argc, const char* const* argv, CommandLine& line,
                      int& exit_code) {
  Parsed parsed;
  CLI::App app{
      "Bulkhead gives every network card its own driver process: when one "
      "dies, only its link pauses.",
      "bulkhead"};
  app.require_subcommand(1);
  app.fallthrough();
  app.add_option("-d,--run-dir,--run_dir", line.run_dir,
                 "Where the system's sockets and logs are (default: "
                 "$BULKHEAD_RUN_DIR, else /run/bulkhead for root and "
                 "$XDG_RUNTIME_DIR/bulkhead for others)");
  app.add_option("--bin-dir,--bin_dir", line.bin_dir,
                 "Where the programs are (default: beside this one)")
      ->envname("BULKHEAD_BIN_DIR");
  app.add_flag("--json", line.json, "Data as JSON");
  app.set_version_flag("--version",
                       absl::StrCat("bulkhead ", kVersion, " (", kApi, ")"));
  app.footer(
      "Exit status: 0 ok, 1 failure, 2 usage.\n"
      "First steps: bulkhead demo; bulkhead up configs/two_nics.yaml");
  AddScenarioCommands(app, parsed);
  AddLookCommands(app, parsed);
  AddProcessCommands(app, parsed);
  try {
    app.parse(argc, argv);
    const std::string duration = arguments::ParseDuration(
        parsed.capture_duration, parsed.capture.duration_ms);
    if (!duration.empty()) throw CLI::ValidationError("--duration", duration);
    parsed.kill.signal = ParseSignal(parsed.kill_signal);
    if (parsed.kill.signal == 0) {
      throw CLI::ValidationError(
          "--signal", absl::StrCat("'", parsed.kill_signal,
                                   "' is no signal; write e.g. KILL, STOP, "
                                   "SEGV or a number"));
    }
  } catch (const CLI::ParseError& error) {
    exit_code = SayWhatIsWrong(app, error);
    return false;
  }
  Choose(app.get_subcommands().front()->get_name(), parsed, line);
  return true;
}

}  // namespace bulkhead::cli
