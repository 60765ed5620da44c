// Why a NIC cannot be driven yet: the cause, what mends it, what works now.
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/errno_status.h"
#include "clients/bulkhead/commands.h"
#include "clients/bulkhead/json_view.h"
#include "clients/bulkhead/local_machine.h"
#include "platform_service/doctor/diagnosis.h"

namespace bulkhead::cli {
namespace {

Colour PaintOf(doctor::Weight weight) {
  switch (weight) {
    case doctor::Weight::kObstacle:
      return Colour::kBad;
    case doctor::Weight::kWarning:
      return Colour::kWarn;
    case doctor::Weight::kKept:
      break;
  }
  return Colour::kPlain;
}

void PrintReport(const doctor::Report& report, const Console& console) {
  console.out << console.Paint(
                     Colour::kBold,
                     report.address.empty()
                         ? report.title
                         : absl::StrCat(report.address, "  ", report.title))
              << "\n";
  const auto line = [&](Colour paint, const char* label,
                        const std::string& text) {
    console.out << "  " << console.Paint(paint, absl::StrFormat("%-8s", label))
                << "  " << text << "\n";
  };
  for (const std::string& good : report.good) line(Colour::kGood, "ok", good);
  for (const doctor::Finding& finding : report.findings) {
    line(PaintOf(finding.weight), doctor::WeightName(finding.weight),
         finding.cause);
    line(Colour::kPlain, "    mend", finding.remedy);
    line(Colour::kPlain, "    now", finding.meanwhile);
  }
}

void PrintText(const doctor::Diagnosis& diagnosis, const Console& console) {
  PrintReport(diagnosis.machine, console);
  std::vector<std::string> ready;
  for (const doctor::Report& report : diagnosis.devices) {
    console.out << "\n";
    PrintReport(report, console);
    if (!report.Blocked()) ready.push_back(report.address);
  }
  console.out << "\n";
  if (diagnosis.ok) {
    console.out << "can be driven: " << absl::StrJoin(ready, ", ") << "\n";
  } else if (!ready.empty()) {
    console.out << "can be driven once the machine's obstacles are mended: "
                << absl::StrJoin(ready, ", ") << "\n";
  } else {
    console.out << "nothing can be driven yet\n";
  }
}

Json ReportJson(const doctor::Report& report) {
  Json findings = Json::array();
  for (const doctor::Finding& finding : report.findings) {
    findings.push_back({{"kind", finding.kind},
                        {"weight", doctor::WeightName(finding.weight)},
                        {"cause", finding.cause},
                        {"remedy", finding.remedy},
                        {"meanwhile", finding.meanwhile},
                        {"fixable", finding.fix != doctor::Fix::kNone}});
  }
  return {{"address", report.address},
          {"title", report.title},
          {"blocked", report.Blocked()},
          {"good", report.good},
          {"findings", findings}};
}

void PrintJson(const doctor::Diagnosis& diagnosis, const Console& console) {
  Json devices = Json::array();
  for (const doctor::Report& report : diagnosis.devices) {
    devices.push_back(ReportJson(report));
  }
  console.out << Dump({{"ok", diagnosis.ok},
                       {"machine", ReportJson(diagnosis.machine)},
                       {"devices", devices}})
              << "\n";
}

absl::Status RunProgram(const std::vector<std::string>& command) {
  std::vector<char*> arguments;
  for (const std::string& word : command) {
    arguments.push_back(const_cast<char*>(word.c_str()));
  }
  arguments.push_back(nullptr);
  pid_t pid = 0;
  const int error = ::posix_spawnp(&pid, arguments[0], nullptr, nullptr,
                                   arguments.data(), environ);
  if (error != 0) {
    errno = error;
    return ErrnoStatus(absl::StrCat("run ", command[0]));
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return absl::OkStatus();
  return absl::UnknownError(
      absl::StrCat(absl::StrJoin(command, " "), " failed; its words are above",
                   ::geteuid() == 0 ? "" : " (it may need root)"));
}

// True: something was changed.
bool Mend(const doctor::Diagnosis& diagnosis, const doctor::Machine& machine,
          const Console& console) {
  bool changed = false;
  for (const doctor::Finding& finding : diagnosis.machine.findings) {
    const std::vector<std::string> command =
        doctor::FixCommand(finding.fix, machine, ::getppid());
    if (command.empty()) continue;
    // Not to standard output, which is data with --json.
    console.err << "bulkhead doctor: " << finding.cause << ": running "
                << absl::StrJoin(command, " ") << std::endl;
    const absl::Status done = RunProgram(command);
    if (!done.ok()) console.Warn(done.message());
    changed |= done.ok();
  }
  return changed;
}

}  // namespace

absl::Status RunCommand(const DoctorOptions& options, const Context& context) {
  const Console& console = context.console;
  const policy::DriverCatalog drivers = policy::ListDrivers(context.bin_dir);
  ASSIGN_OR_RETURN(doctor::Machine machine,
                   ExamineLocal(options.root, console));
  std::string address;
  if (!options.device.empty()) {
    address = AddressOf(machine, options.device);
  }
  doctor::Diagnosis diagnosis = doctor::Diagnose(machine, drivers, address);
  if (!address.empty() && diagnosis.devices.empty()) {
    return NoSuchDevice(machine, options.device);
  }
  if (options.fix && Mend(diagnosis, machine, console)) {
    ASSIGN_OR_RETURN(machine, ExamineLocal("", console));
    diagnosis = doctor::Diagnose(machine, drivers, address);
  }
  if (console.json) {
    PrintJson(diagnosis, console);
  } else {
    PrintText(diagnosis, console);
  }
  return diagnosis.ok ? absl::OkStatus() : AlreadyReported();
}

}  // namespace bulkhead::cli
