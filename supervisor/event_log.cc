#include "supervisor/event_log.h"

#include <string>
#include <utility>

#include "base/clock.h"

namespace bulkhead::supervisor {
namespace {

void Shorten(std::string* text) {
  if (text->size() <= EventLog::kMaxTextBytes) return;
  text->resize(EventLog::kMaxTextBytes - 1);
  // Not inside a UTF-8 sequence: protobuf strings must stay valid.
  while (!text->empty() && (text->back() & 0xc0) == 0x80) text->pop_back();
  if (!text->empty() && (text->back() & 0x80) != 0) text->pop_back();
  text->push_back('~');
}

}  // namespace

const Event& EventLog::Add(Event event) {
  event.set_sequence(++last_sequence_);
  if (event.time_ns() == 0) event.set_time_ns(MonotonicNs());
  Shorten(event.mutable_process());
  Shorten(event.mutable_kind());
  Shorten(event.mutable_text());
  if (events_.size() == kCapacity) events_.pop_front();
  events_.push_back(std::move(event));
  return events_.back();
}

}  // namespace bulkhead::supervisor
