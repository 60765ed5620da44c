#include "nic_model/intel/outgoing_frame.h"

#include <cstring>
#include <utility>

namespace bulkhead::nic_model::intel {

bool OutgoingFrame::Begin() { return !std::exchange(begun_, true); }

void OutgoingFrame::Append(uint64_t buffer, uint32_t bytes, bool to_be_cut) {
  if (spoilt_) return;
  const size_t most = to_be_cut ? frame_.size() : kMaxFrameBytes;
  if (bytes > most - bytes_ ||
      !dma_.Read(buffer, std::span(frame_).subspan(bytes_, bytes))) {
    spoilt_ = true;
    return;
  }
  bytes_ += bytes;
}

void OutgoingFrame::Lose() {
  Bump(counters_.tx_bad);
  Reset();
}

void OutgoingFrame::FinishWhole(bool pad) {
  finished_ = true;
  if (bytes_ < kMinFrameBytes && pad) {
    std::memset(frame_.data() + bytes_, 0, kMinFrameBytes - bytes_);
    bytes_ = kMinFrameBytes;
  }
  // Not even an Ethernet header.
  if (bytes_ < 14) spoilt_ = true;
}

void OutgoingFrame::FinishCut(const TxContext& how) {
  finished_ = true;
  cut_ = how;
  spoilt_ = spoilt_ || !CanSegment(how, bytes());
}

bool OutgoingFrame::Send(bool link_up) {
  if (spoilt_) {
    Bump(counters_.tx_bad);
  } else if (cut_.has_value() ? !SendSegments(link_up)
                              : !SendOnWire(bytes(), link_up)) {
    return false;
  }
  Reset();
  return true;
}

bool OutgoingFrame::SendSegments(bool link_up) {
  for (; cut_at_ < cut_->payload_bytes; cut_at_ += cut_->segment_bytes) {
    const size_t bytes = CutSegment(*cut_, this->bytes(), cut_at_, segment_);
    if (bytes == 0) {
      Bump(counters_.tx_bad);
    } else if (!SendOnWire(std::span(segment_).first(bytes), link_up)) {
      return false;
    }
  }
  return true;
}

bool OutgoingFrame::SendOnWire(std::span<uint8_t> frame, bool link_up) {
  if (!link_up) {
    Bump(counters_.network_dropped);
    return true;
  }
  uint8_t destination[6];
  std::memcpy(destination, frame.data(), sizeof(destination));
  const size_t bytes = frame.size();
  switch (network_->Send(frame)) {
    case SendResult::kBusy:
      return false;
    case SendResult::kDropped:
      Bump(counters_.network_dropped);
      return true;
    case SendResult::kSent:
      Bump(counters_.tx_frames);
      Bump(counters_.tx_bytes, bytes);
      statistics_.CountSent(destination, bytes);
      return true;
  }
  return true;
}

void OutgoingFrame::Reset() {
  bytes_ = cut_at_ = 0;
  begun_ = spoilt_ = finished_ = false;
  cut_.reset();
}

}  // namespace bulkhead::nic_model::intel
