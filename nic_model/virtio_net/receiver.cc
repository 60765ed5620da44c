#include "nic_model/virtio_net/receiver.h"

#include <algorithm>
#include <cstring>

#include "nic_model/frames/checksum.h"
#include "nic_model/virtio_net/layout.h"

namespace bulkhead::nic_model::virtio_net {

void Receiver::Open(Virtqueue* queue, bool mergeable) {
  queue_ = queue;
  mergeable_ = mergeable;
  broken_ = false;
}

void Receiver::set_running(bool running) {
  running_ = running;
  if (running) return;
  for (size_t left = fifo_.Clear(); left != 0; --left) {
    Account(counters_.rx_disabled);
  }
}

void Receiver::Account(std::atomic<uint64_t>& counter) {
  Bump(counter);
  Bump(counters_.rx_offered);
  ++frames_done_;
}

void Receiver::Receive(std::span<const uint8_t> frame, const RxFilter& filter,
                       const Mac& own) {
  if (!running_) return Account(counters_.rx_disabled);
  if (frame.size() < kMinFrameBytes) {
    // The wire carries no shorter frame: its sender padded it.
    std::memset(scratch_.data(), 0, kMinFrameBytes);
    std::memcpy(scratch_.data(), frame.data(), frame.size());
    frame = std::span(scratch_).first(kMinFrameBytes);
  }
  if (frame.size() > kMaxFrameBytes) return Account(counters_.rx_oversize);
  if (!filter.Passes(frame, own)) return Account(counters_.rx_filtered);
  if (fifo_.frames() == 0 && Deliver(frame) != Fit::kNoBuffer) return;
  if (fifo_.Push(frame)) return;
  ++missed_;
  Account(counters_.rx_missed);
}

void Receiver::Drain() {
  while (fifo_.frames() != 0 && running_) {
    if (Deliver(fifo_.Front()) == Fit::kNoBuffer) return;
    fifo_.Pop();
  }
}

Receiver::Fit Receiver::Deliver(std::span<const uint8_t> frame) {
  const Fit fit = TakeChains(sizeof(NetHeader) + frame.size());
  switch (fit) {
    case Fit::kNoBuffer:
      break;
    case Fit::kTooLong:
      Account(counters_.rx_oversize);
      break;
    case Fit::kBroken:
      Account(counters_.rx_missed);
      break;
    case Fit::kFits:
      // A buffer outside the DMA map: the frame is lost, and the fault counted
      // where it happened.
      const bool written = WriteFrame(frame);
      delivered_ += written ? 1 : 0;
      Account(written ? counters_.rx_frames : counters_.rx_missed);
      break;
  }
  return fit;
}

Receiver::Fit Receiver::TakeChains(size_t bytes) {
  chain_count_ = 0;
  if (queue_ == nullptr || broken_ || !dma_.bus_master()) return Fit::kNoBuffer;
  const Virtqueue::Mark mark = queue_->mark();
  size_t room = 0;
  while (room < bytes && chain_count_ < (mergeable_ ? kMaxMerged : 1)) {
    Chain& chain = chains_[chain_count_];
    switch (queue_->Take(&chain)) {
      case Virtqueue::Taken::kBroken:
        broken_ = true;
        return Fit::kBroken;
      case Virtqueue::Taken::kEmpty:
        queue_->AskForKick();
        // One may have come before the driver saw that we wait.
        if (queue_->HasChain()) continue;
        queue_->Rewind(mark);
        return Fit::kNoBuffer;
      case Virtqueue::Taken::kChain:
        break;
    }
    room += std::min<uint64_t>(chain.writable_bytes(), kMaxFrameBytes * 2);
    ++chain_count_;
    // 5.1.6.3.1: the header is in one piece with the first buffer.
    if (chain_count_ == 1 && room < sizeof(NetHeader)) break;
  }
  if (room >= bytes) return Fit::kFits;
  queue_->Rewind(mark);
  return Fit::kTooLong;
}

bool Receiver::WriteFrame(std::span<const uint8_t> frame) {
  NetHeader header;
  header.num_buffers = static_cast<uint16_t>(chain_count_);
  if (checksums_) {
    const RxChecksum sums = CheckFrame(frame);
    if (sums.l4_checked && (sums.l4_good || faults_.corrupt_payload)) {
      header.flags = kDataValid;
    }
  }
  if (faults_.corrupt_payload) {
    if (frame.data() != scratch_.data()) {
      std::memcpy(scratch_.data(), frame.data(), frame.size());
    }
    scratch_[frame.size() / 2] ^= 0x5a;
    frame = std::span(scratch_).first(frame.size());
  }
  if (faults_.stray_dma && !chains_[0].writable.empty()) {
    static_cast<void>(
        dma_.Write(chains_[0].writable[0].iova ^ (uint64_t{1} << 46), frame));
  }
  std::array<uint8_t, sizeof(header)> head;
  std::memcpy(head.data(), &header, sizeof(header));
  bool written = WriteSegments(dma_, chains_[0].writable, 0, head);
  size_t at = sizeof(header);
  for (size_t i = 0; i < chain_count_; ++i) {
    const uint64_t room = chains_[i].writable_bytes() - at;
    const auto part = frame.first(std::min<uint64_t>(frame.size(), room));
    written = WriteSegments(dma_, chains_[i].writable, at, part) && written;
    // The chain is used up even so: the NIC must not stand still at it.
    written =
        queue_->Put(chains_[i], static_cast<uint32_t>(at + part.size())) &&
        written;
    frame = frame.subspan(part.size());
    at = 0;
  }
  return written;
}

bool Receiver::EndBatch() {
  return !broken_ && (queue_ == nullptr || queue_->Publish());
}

}  // namespace bulkhead::nic_model::virtio_net
