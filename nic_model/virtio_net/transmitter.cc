#include "nic_model/virtio_net/transmitter.h"

#include <cstring>
#include <span>

#include "nic_model/frames/checksum.h"
#include "nic_model/virtio_net/layout.h"

namespace bulkhead::nic_model::virtio_net {
namespace {

constexpr size_t kEthernetHeaderBytes = 14;

}  // namespace

Transmitter::Outcome Transmitter::Process(Virtqueue& queue, Network& network,
                                          uint32_t budget, bool link_up,
                                          bool checksums) {
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
      good_ = Gather(checksums);
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

bool Transmitter::Gather(bool checksums) {
  NetHeader header;
  const uint64_t all = chain_.readable_bytes();
  if (all < sizeof(header) + kEthernetHeaderBytes ||
      all > sizeof(header) + frame_.size()) {
    return false;
  }
  bytes_ = static_cast<size_t>(all) - sizeof(header);
  std::array<uint8_t, sizeof(header)> bytes;
  const std::span<uint8_t> frame = std::span(frame_).first(bytes_);
  if (!ReadSegments(dma_, chain_.readable, 0, bytes) ||
      !ReadSegments(dma_, chain_.readable, sizeof(header), frame)) {
    return false;
  }
  std::memcpy(&header, bytes.data(), sizeof(header));
  // Segmentation is not offered, so that nobody may ask for it.
  if (header.gso_type != 0) return false;
  if ((header.flags & kNeedsCsum) != 0 &&
      (!checksums ||
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
  if (!link_up) {
    Bump(counters_.network_dropped);
    return true;
  }
  switch (network.Send(std::span(frame_).first(bytes_))) {
    case SendResult::kBusy:
      return false;
    case SendResult::kDropped:
      Bump(counters_.network_dropped);
      return true;
    case SendResult::kSent:
      Bump(counters_.tx_frames);
      Bump(counters_.tx_bytes, bytes_);
      return true;
  }
  return true;
}

}  // namespace bulkhead::nic_model::virtio_net
