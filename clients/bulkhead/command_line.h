// What the user typed, as plain structs: one per command.
#ifndef BULKHEAD_CLIENTS_BULKHEAD_COMMAND_LINE_H_
#define BULKHEAD_CLIENTS_BULKHEAD_COMMAND_LINE_H_

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace bulkhead::cli {

struct DemoOptions {
  double seconds = 10;   // Of traffic.
  uint32_t nics = 8;     // 3 … 64
  uint64_t rate = 2000;  // Frames a second on each link.
};
struct ValidateOptions {
  std::vector<std::string> files;
};
struct PlanOptions {
  std::string file;
  bool all = false;  // Also the devices that no rule matches.
};
struct UpOptions {
  std::string file;
  bool wait = true;
  bool foreground = false;
  uint32_t timeout_ms = 15000;
};
struct DownOptions {};
struct PsOptions {};
struct StatusOptions {
  std::string name;  // Empty: everything.
};
struct KillOptions {
  std::string name;
  int signal = 9;
};
struct RestartOptions {
  std::string name;
};
struct ApplyOptions {
  std::string file;
  bool dry_run = false;
  bool wait = true;
  uint32_t timeout_ms = 15000;
};
struct EventsOptions {
  std::string name;  // Empty: all processes.
  bool follow = false;
  uint64_t after = 0;  // Only events with a higher sequence number.
};
struct LogsOptions {
  std::string name;
  bool follow = false;
  uint32_t lines = 0;  // Only the last ones; 0: all.
};
struct DevicesOptions {
  std::string device;  // Address, interface or scenario name; empty: all NICs.
  bool all = false;    // Also what is no NIC.
  std::string rules;   // A scenario whose rules are shown; empty: the running.
  std::string root;    // Of a recorded machine; empty: this one.
};
struct DoctorOptions {
  std::string device;  // Address or interface; empty: all NICs.
  bool fix = false;
  std::string root;
};
struct CaptureOptions {
  std::string instance;
  std::string domain;
  std::string filter;
  std::string file = "-";
  uint64_t count = 0;        // Frames; 0: no limit.
  uint64_t duration_ms = 0;  // 0: no limit.
  uint32_t snap_bytes = 65535;
};
struct RouterOptions {
  std::string what;  // One of its tables, or "explain".
  std::vector<std::string> question;
};
inline constexpr char kApi[] = "bulkhead.platform.v1";
struct VersionOptions {};

struct CommandLine {
  std::string run_dir;  // Empty: the default.
  std::string bin_dir;  // Empty: where this program lies.
  bool json = false;
  std::variant<VersionOptions, DemoOptions, ValidateOptions, PlanOptions,
               UpOptions, DownOptions, PsOptions, StatusOptions, KillOptions,
               RestartOptions, ApplyOptions, EventsOptions, LogsOptions,
               DevicesOptions, DoctorOptions, CaptureOptions, RouterOptions>
      command;
};

// Exit status of the program.
constexpr int kOk = 0;
constexpr int kFailure = 1;
constexpr int kUsage = 2;

// Parses argv into `line`. False: the program is to end with `exit_code` (kOk
// after --help); what the user has to read was printed.
bool ParseCommandLine(int argc, const char* const* argv, CommandLine& line,
                      int& exit_code);

// "KILL", "SIGKILL", "kill" or "9" → 9; 0 for anything else.
int ParseSignal(const std::string& text);
// 9 → "SIGKILL".
std::string SignalName(int signal);

}  // namespace bulkhead::cli

#endif  // BULKHEAD_CLIENTS_BULKHEAD_COMMAND_LINE_H_
