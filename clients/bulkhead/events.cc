#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "base/errno_status.h"
#include "clients/bulkhead/commands.h"
#include "clients/bulkhead/connection.h"
#include "clients/bulkhead/event_chain.h"
#include "clients/bulkhead/json_view.h"

namespace bulkhead::cli {
namespace {

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
  const auto connection = Connection::Create(context.run_dir);
  if (options.follow) {
    return connection->WatchEvents(request, [&](const api::Event& event) {
      const bool go_on = print(event);
      console.out.flush();
      return go_on;
    });
  }
  // In the order of what happened: the platform's events reach the supervisor,
  // which numbers them, a little after its own.
  std::vector<api::Event> events;
  RETURN_IF_ERROR(connection->WatchEvents(request, [&](const auto& event) {
    events.push_back(event);
    return true;
  }));
  std::stable_sort(events.begin(), events.end(),
                   [](const api::Event& a, const api::Event& b) {
                     return a.time_ns() < b.time_ns();
                   });
  for (const api::Event& event : events) print(event);
  return absl::OkStatus();
}

}  // namespace bulkhead::cli
