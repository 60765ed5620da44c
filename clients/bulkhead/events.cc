#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/errno_status.h"
#include "clients/bulkhead/commands.h"
#include "clients/bulkhead/connection.h"
#include "clients/bulkhead/event_chain.h"
#include "clients/bulkhead/json_view.h"
#include "clients/bulkhead/process_exit.h"

namespace bulkhead::cli {
namespace {

constexpr int kRetryMs = 50;

Colour PaintOf(const std::string& kind) {
  if (kind == "died" || kind == "hung" || kind == "breach" ||
      kind == "parked") {
    return Colour::kBad;
  }
  if (kind == "first_frame" || kind == "started") return Colour::kGood;
  return Colour::kPlain;
}

void Print(const api::Event& event, std::optional<uint64_t> since_death_ns,
           const Console& console) {
  if (!console.json) {
    console.out << console.Paint(PaintOf(event.kind()),
                                 EventLine(event, since_death_ns))
                << "\n";
    return;
  }
  Json json = ToJson(event);
  if (since_death_ns.has_value())
    json["since_death_us"] = *since_death_ns / 1000;
  console.out << Dump(json) << "\n";
}

// New events until the reader or the system is gone. The platform service may
// die meanwhile: the next one goes on where it stopped.
absl::Status Follow(api::WatchEventsRequest request,
                    const std::function<bool(const api::Event&)>& print,
                    const Context& context) {
  const auto connection = Connection::Create(context.run_dir);
  bool connected = false;
  for (;;) {
    const absl::Status status =
        connection->WatchEvents(request, [&](const api::Event& event) {
          connected = true;
          request.set_after_sequence(event.sequence());
          const bool go_on = print(event);
          context.console.out.flush();
          return go_on;
        });
    if (!absl::IsUnavailable(status) || !connected) return status;
    ASSIGN_OR_RETURN(const auto supervisor, context.run_dir.FindSupervisor());
    if (!supervisor.has_value()) return absl::OkStatus();  // Brought down.
    AwaitExit(supervisor->pidfd.get(), kRetryMs);
  }
}

// What happened so far, in its order: the platform's events reach the
// supervisor, which numbers them, a little after its own.
absl::StatusOr<std::vector<api::Event>> Collect(
    const api::WatchEventsRequest& request, const Context& context) {
  std::vector<api::Event> events;
  RETURN_IF_ERROR(Connection::Create(context.run_dir)
                      ->WatchEvents(request, [&](const api::Event& event) {
                        events.push_back(event);
                        return true;
                      }));
  std::stable_sort(events.begin(), events.end(),
                   [](const api::Event& a, const api::Event& b) {
                     return a.time_ns() < b.time_ns();
                   });
  return events;
}

// A process of which there are no events is most likely a slip of the pen.
absl::Status CheckName(const std::string& name, const Context& context) {
  ASSIGN_OR_RETURN(const api::Status status,
                   Connection::Create(context.run_dir)->GetStatus());
  std::vector<std::string> names;
  for (const api::Process& process : status.process()) {
    if (process.name() == name) return absl::OkStatus();
    names.push_back(process.name());
  }
  for (const api::Instance& instance : status.instance()) {
    if (instance.name() == name) return absl::OkStatus();
  }
  return absl::NotFoundError(
      absl::StrCat("there are no events of ", name, ", and no such process; ",
                   "there is ", absl::StrJoin(names, ", ")));
}

}  // namespace

absl::Status RunCommand(const EventsOptions& options, const Context& context) {
  const Console& console = context.console;
  api::WatchEventsRequest request;
  request.set_process(options.name);
  request.set_follow(options.follow);
  request.set_after_sequence(options.after);
  EventChain chain;
  const auto print = [&](const api::Event& event) {
    Print(event, chain.SinceDeath(event), console);
    return console.out.good();  // The reader of a pipe may go away.
  };
  const auto collect = [&]() -> absl::StatusOr<std::vector<api::Event>> {
    api::WatchEventsRequest past = request;
    past.set_follow(false);
    return Collect(past, context);
  };
  if (!options.name.empty()) {
    // Told at once, also to one who would follow nobody for ever.
    request.set_after_sequence(0);
    ASSIGN_OR_RETURN(const std::vector<api::Event> all, collect());
    if (all.empty()) RETURN_IF_ERROR(CheckName(options.name, context));
    request.set_after_sequence(options.after);
  }
  if (options.follow) return Follow(request, print, context);
  ASSIGN_OR_RETURN(const std::vector<api::Event> events, collect());
  for (const api::Event& event : events) print(event);
  return absl::OkStatus();
}

}  // namespace bulkhead::cli
