// Batches of frames from each port in turn, and what is due.
#include <algorithm>

#include "nic_router/engine/engine_core.h"
#include "nic_router/engine/hash.h"
#include "packet_stream/prefetch.h"

namespace bulkhead::nic_router {

void EngineCore::SetNow(uint64_t now_ns) {
  now_ns_ = std::max(now_ns, now_ns_);
  now_ms_ = now_ns_ / 1'000'000;
  now_s_ = static_cast<uint32_t>(now_ms_ / 1000);
}

bool EngineCore::Turn(uint64_t now_ns) {
  SetNow(now_ns);
  LookAtLinks();
  DoWhatIsDue();
  bool moved = false;
  const auto lines = static_cast<uint16_t>(lines_.size());
  for (uint16_t i = 0; i < lines; ++i) {
    const uint16_t line = (first_line_ + i) % lines;
    if (lines_[line]->port != nullptr) moved |= ServeLine(line);
  }
  if (lines != 0) first_line_ = FirstOfNextTurn();
  // After the batches: an answer may have been in one.
  if (waiting_.used() != 0) ServeWaiting();
  FinishTurn();
  return moved;
}

// Deficit round robin: a port that took more than its share, because frames
// come in pieces and batches, takes less the next time.
bool EngineCore::ServeLine(uint16_t number) {
  Line& line = *lines_[number];
  line.bucket.Fill(now_ns_);
  line.deficit = std::min<int64_t>(line.deficit + line.quantum, line.quantum);
  bool moved = false;
  while (line.deficit > 0 && !MustWait(line)) {
    std::span<const RxPiece> pieces =
        std::span(line.held).first(line.held_count);
    if (pieces.empty()) {
      const size_t room = std::clamp<size_t>(static_cast<size_t>(line.deficit),
                                             kMaxFramePieces, kBatch);
      pieces = std::span(pieces_).first(
          line.port->Receive(std::span(pieces_).first(room)));
      if (pieces.empty()) break;
      moved = true;
    }
    line.used = true;
    const size_t done = ProcessBatch(line, pieces);
    line.port->Release(pieces.first(done));
    moved |= done > 0;
    Hold(line, pieces.subspan(done), done > 0);
    if (line.held_count > 0) break;
  }
  return moved;
}

uint16_t EngineCore::SourceOf(const Line& line, const Frame& frame,
                              DropReason& reason) const {
  if (line.group == kNoGroup) {
    // A client is in one domain; what it tags is meant for another.
    if (frame.tagged && frame.vlan != 0) reason = DropReason::kVlanFilter;
    return line.attachment;
  }
  const UplinkGroup& group = groups_[line.group];
  if (group.active == kNoLine || &line != lines_[group.active].get()) {
    reason = DropReason::kStandbyUplink;
  }
  if (!frame.tagged || frame.vlan == 0) {
    if (group.untagged == kNoAttachment) reason = DropReason::kNoDomain;
    return group.untagged;
  }
  for (const auto& [vlan, attachment] : group.tagged) {
    if (vlan == frame.vlan) return attachment;
  }
  reason = DropReason::kVlanFilter;
  return group.untagged;
}

// In four passes, so that many cache lines travel at a time: frames, heads and
// keys, flows, and then the work.
size_t EngineCore::ProcessBatch(Line& line, std::span<const RxPiece> pieces) {
  for (const RxPiece& piece : pieces) {
    packet_stream::PrefetchForRead(piece.data);
    packet_stream::PrefetchForRead(piece.data + 64);
  }
  const size_t count = ParseBatch(line, pieces);
  std::array<Frame, kBatch>& frames = *frames_;
  for (size_t i = 0; i < count; ++i) {
    if (reasons_[i] == DropReason::kNone && frames[i].has_key) {
      flows_.PrefetchFlow(frames[i].hash);
    }
  }
  size_t done = 0;
  for (; done < count; ++done) {
    Frame& frame = frames[done];
    // Handling may change these.
    const uint16_t source = frame.source;
    const uint32_t frame_bytes = frame.bytes;
    DropReason reason = reasons_[done];
    if (!line.bucket.any()) [[unlikely]] {
      if (HoldForRate(line, done > 0)) break;
      reason = DropReason::kRateLimit;
    } else {
      line.bucket.Spend(frame_bytes);
      if (reason == DropReason::kNone) {
        full_line_ = kNoLine;
        reason = Handle(frame);
        if (reason == DropReason::kFullRing &&
            HoldForUplink(line, frame, done > 0)) {
          line.bucket.Return(frame_bytes);
          break;
        }
      }
    }
    CountReceived(source, frame_bytes);
    if (reason != DropReason::kNone) Drop(source, reason);
  }
  line.deficit -= static_cast<int64_t>(done);
  counters_.frames += done;
  return done == count ? pieces.size() : first_piece_[done];
}

// Returns how many frames there are.
size_t EngineCore::ParseBatch(const Line& line,
                              std::span<const RxPiece> pieces) {
  size_t count = 0;
  for (size_t at = 0; at < pieces.size(); ++count) {
    Frame& frame = (*frames_)[count];
    first_piece_[count] = static_cast<uint8_t>(at);
    DropReason reason = DropReason::kNone;
    const bool whole = TakeHead(&pieces[at], frame);
    if (!whole) reason = DropReason::kPktTooSmall;
    frame.source = SourceOf(line, frame, reason);
    if (reason == DropReason::kNone) {
      ParseFrame(frame);
      if (frame.has_key) {
        frame.hash = flows_.Hash(KeyOf(frame));
        flows_.Prefetch(frame.hash);
      }
    }
    reasons_[count] = reason;
    while (pieces[at++].more) {
    }
  }
  return count;
}

void EngineCore::CountReceived(uint16_t attachment, uint32_t bytes) {
  if (attachment == kNoAttachment) return;
  Attachment& in = attachments_[attachment];
  Traffic& domain = members_[in.domain].traffic;
  ++in.traffic.rx_frames;
  in.traffic.rx_bytes += bytes;
  ++domain.rx_frames;
  domain.rx_bytes += bytes;
}

void EngineCore::Drop(uint16_t attachment, DropReason reason) {
  const auto index = static_cast<size_t>(reason);
  ++counters_.drops[index];
  if (attachment == kNoAttachment) return;
  ++attachments_[attachment].drops[index];
  ++attachments_[attachment].traffic.dropped;
  ++members_[attachments_[attachment].domain].traffic.dropped;
}

void EngineCore::DoWhatIsDue() {
  answers_.Fill(now_ns_);
  flows_.Expire(now_ms_, [this](uint32_t flow) {
    EndFlow(flow);
    ++counters_.flows_expired;
  });
}

// Buffers that were not needed go back, and what was queued is published.
void EngineCore::FinishTurn() {
  for (const auto& each : lines_) {
    Line& line = *each;
    if (line.port == nullptr || !line.used) continue;
    SubmitQueued(line);
    if (line.pool_begin != line.pool_end) {
      line.port->Return(std::span(line.pool).subspan(
          line.pool_begin, line.pool_end - line.pool_begin));
      line.pool_begin = line.pool_end = 0;
    }
    line.port->Flush();
    line.used = false;
    line.starved = false;
  }
}

std::optional<uint64_t> EngineCore::NextDeadline() const {
  uint64_t next = ~uint64_t{0};
  const uint64_t flow_s = flows_.NextDueS();
  if (flow_s != 0) next = flow_s * 1'000'000'000;
  for (const WaitingFrame& slot : waiting_.slots()) {
    if (slot.used) next = std::min({next, slot.ask_ns, slot.deadline_ns});
  }
  for (const auto& line : lines_) {
    if (line->held_count > 0) next = std::min(next, HeldUntil(*line));
    // Frames of our own, made outside of a turn.
    if (line->port != nullptr && line->used) next = now_ns_;
  }
  if (next == ~uint64_t{0}) return std::nullopt;
  return next;
}

}  // namespace bulkhead::nic_router
