#include "supervisor/event_log.h"

#include <string>
#include <utility>

#include "base/clock.h"
#include "supervisor/child_words.h"

namespace bulkhead::supervisor {
namespace {

// Clients and drivers choose some of the words.
void Tame(std::string* text) {
  *text = Harmless(*text, EventLog::kMaxTextBytes);
}

}  // namespace

const Event& EventLog::Add(Event event) {
  event.set_sequence(++last_sequence_);
  if (event.time_ns() == 0) event.set_time_ns(MonotonicNs());
  Tame(event.mutable_process());
  Tame(event.mutable_kind());
  Tame(event.mutable_text());
  if (events_.size() == kCapacity) events_.pop_front();
  events_.push_back(std::move(event));
  return events_.back();
}

}  // namespace bulkhead::supervisor
