// Frames that wait where they lie, in their client's buffers.
//
// What a client sends into a full uplink waits, as it would in the ring of a
// session with the NIC: the client's own ring fills up, and the client waits.
// So does what is beyond its rate. Nothing waits for another client: that has
// no buffers, and it is its own affair.
//
// Not for long, each frame: a NIC that takes nothing keeps nobody from the
// others, and who looks on from outside sees that the router does its work
// (platform_service/router: a second without an acknowledgement is a hang).
#include <algorithm>
#include <cstring>

#include "nic_router/engine/engine_core.h"

namespace bulkhead::nic_router {
namespace {

constexpr uint64_t kForUplinkNs = 10'000'000;
constexpr uint64_t kForRateNs = 250'000'000;

}  // namespace

// Since when the first of the frames that are not done waits.
uint64_t EngineCore::WaitsSince(const Line& line, bool any_done) const {
  return any_done || line.held_count == 0 ? now_ns_ : line.held_since_ns;
}

bool EngineCore::HoldForRate(Line& line, bool any_done) {
  hold_until_ns_ = WaitsSince(line, any_done) + kForRateNs;
  return now_ns_ < hold_until_ns_;
}

bool EngineCore::HoldForUplink(const Line& line, const Frame& frame,
                               bool any_done) {
  // A fragment's place was noted already.
  if (line.group != kNoGroup || full_line_ == kNoLine || frame.fragment) {
    return false;
  }
  const Line& full = *lines_[full_line_];
  if (full.group == kNoGroup) return false;
  // The frame's own time, and that of an uplink which has taken none since.
  hold_until_ns_ =
      std::min(WaitsSince(line, any_done), full.full_since_ns) + kForUplinkNs;
  return now_ns_ < hold_until_ns_;
}

void EngineCore::Hold(Line& line, std::span<const RxPiece> pieces,
                      bool any_done) {
  if (pieces.empty() && line.held_count == 0) return;
  if (!pieces.empty()) {
    line.held_since_ns = WaitsSince(line, any_done);
    line.held_until_ns = hold_until_ns_;
    // They may be held already, further behind.
    std::memmove(line.held.data(), pieces.data(), pieces.size_bytes());
  }
  line.held_count = static_cast<uint32_t>(pieces.size());
  line.port->Pause(!pieces.empty());
}

// For its rate, not for an uplink: of that, only trying tells.
bool EngineCore::MustWait(const Line& line) const {
  return line.held_count > 0 && !line.bucket.any() &&
         now_ns_ < line.held_until_ns;
}

// When a line that holds frames is to be looked at, if nothing happens before.
uint64_t EngineCore::HeldUntil(const Line& line) const {
  if (!line.bucket.any()) {
    return std::min(line.held_until_ns, line.bucket.NextNs());
  }
  // One that has had more than its share is owed turns, not events.
  return line.deficit > 0 ? line.held_until_ns : now_ns_;
}

// Who has waited longest for an uplink is the first to find room.
uint16_t EngineCore::FirstOfNextTurn() const {
  const auto lines = static_cast<uint16_t>(lines_.size());
  const auto next = static_cast<uint16_t>((first_line_ + 1) % lines);
  uint16_t first = next;
  uint64_t since = ~uint64_t{0};
  for (uint16_t i = 0; i < lines; ++i) {
    const auto number = static_cast<uint16_t>((next + i) % lines);
    const Line& line = *lines_[number];
    if (line.held_count == 0 || !line.bucket.any()) continue;
    if (line.held_since_ns < since) {
      since = line.held_since_ns;
      first = number;
    }
  }
  return first;
}

// The line's end.
void EngineCore::LetGo(Line& line) {
  const auto held = std::span(line.held).first(line.held_count);
  if (held.empty()) return;
  for (const RxPiece& piece : held) {
    if (piece.more) continue;
    ++counters_.frames;
    Drop(kNoAttachment, DropReason::kMemberRemoved);
  }
  line.port->Release(held);
  Hold(line, {}, true);
  line.used = true;
}

}  // namespace bulkhead::nic_router
