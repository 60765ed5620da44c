#include "nic_model/virtio_net/transmitter.h"

#include <cstring>

#include "nic_model/frames/checksum.h"
#include "nic_model/virtio_net/layout.h"

namespace bulkhead::nic_model::virtio_net {
namespace {

constexpr size_t kEthernetHeaderBytes = 14;

}  // namespace

Transmitter::Outcome Transmitter::Process(Virtqueue& queue, Network& network,
                                          uint32_t budget, bool link_up,
                                          uint64_t features) {
  if (busy_) return Outcome::kBusy;
  Outcome outcome = Outcome::kMore;
  while (budget-- != 0) {
    if (!assembled_) {
      const Virtqueue::Taken taken = queue.Take(&chain_);
      if (taken != Virtqueue::Taken::kChain) {
        outcome = taken == Virtqueue::Taken::kEmpty ? Outcome::kIdle
                                                    : Outcome::kBroken;
        break;
      }
      assembled_ = true;
      good_ = Gather(features);
    }
    if (!Send(network, link_up)) {
      busy_ = true;
      outcome = Outcome::kBusy;
      break;
    }
    assembled_ = false;
    ++frames_done_;
    if (!queue.Put(chain_, 0)) return Outcome::kBroken;
  }
  network.EndSend();
  return queue.Publish() ? outcome : Outcome::kBroken;
}

bool Transmitter::Gather(uint64_t features) {
  NetHeader header;
  const uint64_t all = chain_.readable_bytes();
  if (all < sizeof(header) + kEthernetHeaderBytes ||
      all > sizeof(header) + frame_.size()) {
    return false;
  }
  bytes_ = static_cast<size_t>(all) - sizeof(header);
  std::array<uint8_t, sizeof(header)> bytes;
  if (!ReadSegments(dma_, chain_.readable, 0, bytes) ||
      !ReadSegments(dma_, chain_.readable, sizeof(header),
                    std::span(frame_).first(bytes_))) {
    return false;
  }
  std::memcpy(&header, bytes.data(), sizeof(header));
  return Prepare(header, features);
}

bool Transmitter::Prepare(const NetHeader& header, uint64_t features) {
  const std::span<uint8_t> frame = std::span(frame_).first(bytes_);
  plan_.reset();
  cut_ = 0;
  if (header.gso_type != kGsoNone) {
    plan_ = PlanSegments(header, frame, features);
    return plan_.has_value();
  }
  if (bytes_ > kMaxFrameBytes) return false;
  if ((header.flags & kNeedsCsum) != 0 &&
      ((features & kCsum) == 0 ||
       !InsertChecksum(frame, header.csum_start, 0,
                       size_t{header.csum_start} + header.csum_offset))) {
    return false;
  }
  if (bytes_ < kMinFrameBytes) {
    std::memset(frame_.data() + bytes_, 0, kMinFrameBytes - bytes_);
    bytes_ = kMinFrameBytes;
  }
  return true;
}

bool Transmitter::Send(Network& network, bool link_up) {
  if (!good_) {
    Bump(counters_.tx_bad);
    return true;
  }
  if (plan_.has_value()) return SendSegments(network, link_up);
  return SendOnWire(network, std::span(frame_).first(bytes_), link_up);
}

// Goes on where the network became busy.
bool Transmitter::SendSegments(Network& network, bool link_up) {
  const std::span<const uint8_t> frame = std::span(frame_).first(bytes_);
  for (; plan_->payload + cut_ < bytes_; cut_ += plan_->segment_bytes) {
    const size_t bytes = CutSegment(*plan_, frame, cut_, segment_);
    if (!SendOnWire(network, std::span(segment_).first(bytes), link_up)) {
      return false;
    }
  }
  return true;
}

bool Transmitter::SendOnWire(Network& network, std::span<uint8_t> frame,
                             bool link_up) {
  if (!link_up) {
    Bump(counters_.network_dropped);
    return true;
  }
  const size_t bytes = frame.size();
  steering_.Learn(frame, pair_);
  switch (network.Send(frame)) {
    case SendResult::kBusy:
      return false;
    case SendResult::kDropped:
      Bump(counters_.network_dropped);
      return true;
    case SendResult::kSent:
      Bump(counters_.tx_frames);
      Bump(counters_.tx_bytes, bytes);
      return true;
  }
  return true;
}

}  // namespace bulkhead::nic_model::virtio_net
