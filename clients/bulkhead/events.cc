#include <nlohmann/json.hpp>

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

}  // namespace

absl::Status RunCommand(const EventsOptions& options, const Context& context) {
  const Console& console = context.console;
  api::WatchEventsRequest request;
  request.set_process(options.name);
  request.set_follow(options.follow);
  request.set_after_sequence(options.after);
  EventChain chain;
  const auto print = [&](const api::Event& event) {
    if (console.json) {
      Json json = ToJson(event);
      if (const auto since = chain.SinceDeath(event)) {
        json["since_death_us"] = *since / 1000;
      }
      console.out << Dump(json) << "\n";
    } else {
      console.out << console.Paint(PaintOf(event.kind()),
                                   EventLine(event, chain.SinceDeath(event)))
                  << "\n";
    }
    if (options.follow) console.out.flush();
    return console.out.good();  // The reader of a pipe may go away.
  };
  return Connection::Create(context.run_dir)->WatchEvents(request, print);
}

}  // namespace bulkhead::cli
