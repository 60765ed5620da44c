#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/clock.h"
#include "base/errno_status.h"
#include "clients/bulkhead/commands.h"
#include "clients/bulkhead/connection.h"
#include "clients/bulkhead/json_view.h"
#include "clients/bulkhead/phase.h"
#include "clients/bulkhead/table.h"

namespace bulkhead::cli {
namespace {

using Align = Table::Align;

std::string Since(uint64_t then_ns) {
  const uint64_t now_ns = MonotonicNs();
  return then_ns == 0 || then_ns > now_ns ? "-" : Duration(now_ns - then_ns);
}

uint64_t CounterOf(const api::Instance& instance, absl::string_view name) {
  for (const api::Counter& counter : instance.counter()) {
    if (counter.name() == name) return counter.value();
  }
  return 0;
}

std::string InstanceTable(const api::Status& status, const Console& console) {
  Table table({{"INSTANCE"},
               {"DRIVER"},
               {"DEVICE"},
               {"PHASE"},
               {"LINK"},
               {"PID", Align::kRight},
               {"RESTARTS", Align::kRight},
               {"SPARE"},
               {"RX", Align::kRight},
               {"TX", Align::kRight},
               {"PRIVATE", Align::kRight},
               {"LAST END"}});
  for (const api::Instance& instance : status.instance()) {
    table.Add(
        {instance.name(), instance.driver(), instance.device(),
         PhaseCell(instance.phase()),
         LinkCell(instance.link_up(), instance.speed_mbps()),
         PidText(instance.pid()), absl::StrCat(instance.restarts()),
         instance.spare_ready() ? "ready" : "-",
         WithCommas(CounterOf(instance, "rx_packets")),
         WithCommas(CounterOf(instance, "tx_packets")),
         instance.private_bytes() == 0 ? "-" : Bytes(instance.private_bytes()),
         instance.reason()});
  }
  return table.ToText(console);
}

std::string SessionTable(const api::Status& status, const Console& console) {
  Table table({{"SESSION", Align::kRight},
               {"LABEL"},
               {"INSTANCE"},
               {"STATE"},
               {"EPOCH", Align::kRight},
               {"CLIENT", Align::kRight},
               {"MEMORY", Align::kRight}});
  for (const api::Session& session : status.session()) {
    table.Add({absl::StrCat(session.id()), session.label(), session.instance(),
               PhaseCell(session.state()), absl::StrCat(session.epoch()),
               PidText(session.client_pid()), Bytes(session.bytes())});
  }
  return table.ToText(console);
}

// "router: running, 3 clients in 2 domains, uplinks nic0, nic1 (not open)"
void PrintRouter(const api::Router& router, const Console& console) {
  std::vector<std::string> uplinks;
  for (const auto& uplink : router.uplink()) {
    uplinks.push_back(
        absl::StrCat(uplink.instance(), uplink.open() ? "" : " (not open)"));
  }
  const Table::Cell phase = PhaseCell(router.phase());
  console.out << "\nrouter " << router.name() << ": "
              << console.Paint(phase.paint, phase.text) << ", "
              << router.clients() << " clients, " << router.domains()
              << " domains, uplinks "
              << (uplinks.empty() ? "none" : absl::StrJoin(uplinks, ", "))
              << ", " << router.restarts() << " restarts";
  if (!router.reason().empty()) {
    console.out << ", last end: " << router.reason();
  }
  console.out << "\n";
}

// Most processes of one kind lack the same parts: said once for all of them.
void PrintSandbox(const api::Status& status, const Console& console) {
  std::set<std::string> parts;
  for (const api::Process& process : status.process()) {
    for (const std::string& part : process.sandbox_not_applied()) {
      parts.insert(part);
    }
  }
  if (parts.empty()) return;
  console.out << "\n"
              << console.Paint(Colour::kWarn,
                               "sandbox parts that this system refused:")
              << "\n";
  for (const std::string& part : parts) console.out << "  " << part << "\n";
}

void PrintAll(const api::Status& status, const Console& console) {
  console.out << "scenario " << status.scenario() << ", up for "
              << Since(status.up_since_ns())
              << ", platform service in generation "
              << status.platform_generation() << "\n\n"
              << InstanceTable(status, console);
  if (status.session_size() > 0) {
    console.out << "\n" << SessionTable(status, console);
  }
  if (status.has_router()) PrintRouter(status.router(), console);
  PrintSandbox(status, console);
  for (const std::string& failure : status.failure()) {
    console.out << "\n" << console.Paint(Colour::kBad, "error: ") << failure;
  }
  if (status.failure_size() > 0) console.out << "\n";
  for (const std::string& warning : status.warning()) {
    console.out << "\n" << console.Paint(Colour::kWarn, "warning: ") << warning;
  }
  if (status.warning_size() > 0) console.out << "\n";
}

template <typename Repeated>
void PrintCounters(const char* title, const Repeated& counters,
                   const Console& console) {
  if (counters.empty()) return;
  Table table({{title}, {"", Align::kRight}});
  for (const api::Counter& counter : counters) {
    table.Add({counter.name(), WithCommas(counter.value())});
  }
  console.out << "\n" << table.ToText(console, "  ");
}

std::string CpuText(const api::Instance& instance) {
  return instance.cpus().empty() ? "any" : absl::StrJoin(instance.cpus(), ",");
}

void PrintOne(const api::Instance& instance, const Console& console) {
  const auto line = [&](const char* name, const std::string& value) {
    console.out << "  " << name
                << std::string(12 - std::string(name).size(), ' ') << value
                << "\n";
  };
  const auto painted = [&](const Table::Cell& cell) {
    return console.Paint(cell.paint, cell.text);
  };
  console.out << console.Paint(Colour::kBold, instance.name()) << "\n";
  line("driver", instance.driver());
  line("device", instance.device());
  line("phase", painted(PhaseCell(instance.phase())));
  line("link", absl::StrCat(
                   painted(LinkCell(instance.link_up(), instance.speed_mbps())),
                   instance.half_duplex() ? ", half duplex" : ""));
  line("mac", instance.mac());
  line("mtu", absl::StrCat(instance.mtu()));
  if (!instance.mode().empty()) line("mode", instance.mode());
  line("pid", PidText(instance.pid()));
  line("generation", absl::StrCat(instance.generation(), ", up for ",
                                  Since(instance.up_since_ns())));
  line("restarts", absl::StrCat(instance.restarts()));
  if (!instance.reason().empty()) line("last end", instance.reason());
  line("spare", instance.spare_ready() ? "ready" : "none");
  line("cpus", CpuText(instance));
  line("memory",
       absl::StrCat(Bytes(instance.private_bytes()), " private, limit ",
                    instance.memory_limit_bytes() == 0
                        ? "none"
                        : Bytes(instance.memory_limit_bytes())));
  for (const std::string& part : instance.sandbox_not_applied()) {
    line("no sandbox", part);
  }
  PrintCounters("DRIVER", instance.counter(), console);
  PrintCounters("NIC MODEL", instance.model_counter(), console);
}

absl::Status NoSuchInstance(const std::string& name,
                            const api::Status& status) {
  std::vector<std::string> names;
  for (const api::Instance& instance : status.instance()) {
    names.push_back(instance.name());
  }
  return absl::NotFoundError(absl::StrCat(
      "there is no instance ", name, "; there ",
      names.empty() ? "are none"
                    : absl::StrCat("are ", absl::StrJoin(names, ", "))));
}

}  // namespace

absl::Status RunCommand(const StatusOptions& options, const Context& context) {
  const auto connection = Connection::Create(context.run_dir);
  ASSIGN_OR_RETURN(const api::Status status, connection->GetStatus());
  const Console& console = context.console;
  if (options.name.empty()) {
    if (console.json) {
      console.out << Dump(ToJson(status)) << "\n";
    } else {
      PrintAll(status, console);
    }
    return absl::OkStatus();
  }
  for (const api::Instance& instance : status.instance()) {
    if (instance.name() != options.name) continue;
    if (console.json) {
      console.out << Dump(ToJson(instance)) << "\n";
    } else {
      PrintOne(instance, console);
    }
    return absl::OkStatus();
  }
  return NoSuchInstance(options.name, status);
}

}  // namespace bulkhead::cli
