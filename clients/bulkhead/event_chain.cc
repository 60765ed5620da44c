#include "clients/bulkhead/event_chain.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace bulkhead::cli {

namespace {

// The last word of a recovery, docs/events.md.
bool Completes(const std::string& kind) {
  return kind == "first_frame" || kind == "took_over" || kind == "parked";
}

// Somebody asked for something new: the recovery, if one went on, is over. A
// model's recovery has no last word of its own.
bool IsOutside(const std::string& kind) {
  return kind == "signal" || kind == "session_opened" ||
         kind == "session_closed" || kind == "stopped" || kind == "apply" ||
         kind == "down";
}

}  // namespace

std::optional<uint64_t> EventChain::SinceDeath(
    const platform::v1::Event& event) {
  if (IsOutside(event.kind())) open_.erase(event.process());
  if (event.kind() == "died") open_[event.process()] = event.time_ns();
  const auto chain = open_.find(event.process());
  if (chain == open_.end()) return std::nullopt;
  const uint64_t since_ns =
      event.time_ns() - std::min(event.time_ns(), chain->second);
  if (Completes(event.kind())) open_.erase(chain);
  return since_ns;
}

std::string EventLine(const platform::v1::Event& event,
                      std::optional<uint64_t> since_death_ns) {
  const std::string since =
      since_death_ns.has_value() && *since_death_ns > 0
          ? absl::StrFormat("+%d us", *since_death_ns / 1000)
          : "";
  std::string who = event.process();
  if (event.generation() > 0) absl::StrAppend(&who, " #", event.generation());
  std::string line = absl::StrFormat("%d.%06d  %12s  %-20s %-12s %s",
                                     event.time_ns() / 1'000'000'000,
                                     event.time_ns() % 1'000'000'000 / 1000,
                                     since, who, event.kind(), event.text());
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return line;
}

}  // namespace bulkhead::cli
