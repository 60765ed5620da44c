#include "nic_model/82574l/transmitter.h"

#include <algorithm>
#include <cstring>

#include "nic_model/frames/checksum.h"

namespace bulkhead::nic_model::i82574 {
namespace {

constexpr uint64_t kDescriptorBytes = 16;
// Bits 24–31 of a context descriptor's second quadword.
constexpr uint64_t kTucmdTcp = uint64_t{1} << 24;
constexpr uint64_t kTucmdIp = uint64_t{1} << 25;

TxContext ParseTxContext(uint64_t low, uint64_t high) {
  return {.ipcss = static_cast<uint8_t>(low),
          .ipcso = static_cast<uint8_t>(low >> 8),
          .tucss = static_cast<uint8_t>(low >> 32),
          .tucso = static_cast<uint8_t>(low >> 40),
          .ipcse = static_cast<uint16_t>(low >> 16),
          .tucse = static_cast<uint16_t>(low >> 48),
          .payload_bytes = static_cast<uint32_t>(high & 0xfffff),
          .header_bytes = static_cast<uint8_t>(high >> 40),
          .segment_bytes = static_cast<uint16_t>(high >> 48),
          .ipv4 = (high & kTucmdIp) != 0,
          .tcp = (high & kTucmdTcp) != 0};
}

}  // namespace

uint32_t Transmitter::RingCount() const {
  return (regs_[kTdlen] & 0xfff80) / kDescriptorBytes;
}

bool Transmitter::waiting() const {
  const uint32_t count = RingCount();
  return regs_.Has(kTctl, kTctlEn) && dma_.bus_master() &&
         regs_[kTdh] < count && regs_[kTdt] < count &&
         regs_[kTdh] != regs_[kTdt];
}

bool Transmitter::Process(uint32_t budget, bool link_up) {
  if (busy_ || !waiting()) return false;
  const uint64_t base = uint64_t{regs_[kTdbah]} << 32 | (regs_[kTdbal] & ~0xfu);
  const uint32_t count = RingCount();
  while (budget-- != 0 && waiting()) {
    const uint32_t head = regs_[kTdh];
    if (!HandleDescriptor(base + head * kDescriptorBytes, link_up)) {
      busy_ = true;
      break;
    }
    regs_[kTdh] = head + 1 == count ? 0 : head + 1;
    ++descriptors_done_;
  }
  network_->EndSend();
  if (regs_[kTdh] == regs_[kTdt]) causes_ |= kIcrTxqe;
  const uint32_t causes = std::exchange(causes_, 0);
  if (causes != 0) interrupts_.Raise(causes);
  const uint32_t delayed = std::exchange(delayed_causes_, 0);
  if (delayed != 0) interrupts_.RaiseDelayed(delayed, kTidv, kTadv);
  return !busy_ && waiting();
}

bool Transmitter::HandleDescriptor(uint64_t descriptor, bool link_up) {
  if (assembled_) {
    if (!SendFrame(link_up)) return false;
    Report(descriptor, held_high_);
    return true;
  }
  uint64_t low, high;
  if (!dma_.ReadQuad(descriptor, &low) ||
      !dma_.ReadQuad(descriptor + 8, &high)) {
    // Whether a frame ends here is unknown: what was begun is spoilt.
    Bump(counters_.tx_bad);
    started_ = bad_ = false;
    bytes_ = 0;
    return true;
  }
  const auto command = static_cast<uint32_t>(high);
  const bool extended = (command & kTxDext) != 0;
  if (extended && (command & kTxTypeMask) == 0) {
    context_ = ParseTxContext(low, high);
    Report(descriptor, high);
    return true;
  }
  if (!started_) {
    started_ = true;
    popts_ = extended ? static_cast<uint8_t>(high >> 40) : 0;
    segmented_ = extended && (command & kTxTse) != 0;
  }
  if (extended && (command & kTxTypeMask) != kTxTypeData) bad_ = true;
  Gather(low, extended ? command & 0xfffff : command & 0xffff);
  if ((command & kTxEop) != 0) {
    FinishFrame(high);
    assembled_ = true;
    held_high_ = high;
    if (!SendFrame(link_up)) return false;
  }
  Report(descriptor, high);
  return true;
}

void Transmitter::Gather(uint64_t buffer, uint32_t bytes) {
  if (bad_) return;
  const size_t most = segmented_ ? frame_.size() : kMaxFrameBytes;
  if (bytes > most - bytes_ ||
      !dma_.Read(buffer, std::span(frame_).subspan(bytes_, bytes))) {
    bad_ = true;
    return;
  }
  bytes_ += bytes;
}

void Transmitter::FinishFrame(uint64_t high) {
  const auto command = static_cast<uint32_t>(high);
  const std::span<uint8_t> frame = std::span(frame_).first(bytes_);
  if (segmented_) {
    cut_at_ = 0;
    bad_ = bad_ || !CanSegment(context_, frame);
    return;
  }
  if ((command & kTxDext) == 0 && (command & kTxIc) != 0) {
    const auto cso = static_cast<uint8_t>(high >> 16);
    const auto css = static_cast<uint8_t>(high >> 40);
    // 7.2.10.1: an offset beyond the frame inserts nothing.
    static_cast<void>(InsertChecksum(frame, css, 0, cso));
  }
  // The inner checksum first: the outer may cover it.
  if ((popts_ & kTxPoptsTxsm) != 0) {
    static_cast<void>(
        InsertChecksum(frame, context_.tucss, context_.tucse, context_.tucso));
  }
  if ((popts_ & kTxPoptsIxsm) != 0) {
    static_cast<void>(
        InsertChecksum(frame, context_.ipcss, context_.ipcse, context_.ipcso));
  }
  if (bytes_ < kMinFrameBytes && regs_.Has(kTctl, kTctlPsp)) {
    std::memset(frame_.data() + bytes_, 0, kMinFrameBytes - bytes_);
    bytes_ = kMinFrameBytes;
  }
  // Not even an Ethernet header.
  if (bytes_ < 14) bad_ = true;
}

bool Transmitter::SendFrame(bool link_up) {
  if (bad_) {
    Bump(counters_.tx_bad);
  } else if (segmented_) {
    if (!SendSegments(link_up)) return false;
  } else if (!SendOnWire(std::span(frame_).first(bytes_), link_up)) {
    return false;
  }
  started_ = bad_ = assembled_ = false;
  bytes_ = 0;
  return true;
}

// Goes on where the network became busy.
bool Transmitter::SendSegments(bool link_up) {
  const std::span<const uint8_t> frame = std::span(frame_).first(bytes_);
  for (; cut_at_ < context_.payload_bytes; cut_at_ += context_.segment_bytes) {
    const size_t bytes = CutSegment(context_, frame, cut_at_, segment_);
    if (bytes == 0) {
      Bump(counters_.tx_bad);
    } else if (!SendOnWire(std::span(segment_).first(bytes), link_up)) {
      return false;
    }
  }
  return true;
}

bool Transmitter::SendOnWire(std::span<uint8_t> frame, bool link_up) {
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

void Transmitter::Report(uint64_t descriptor, uint64_t high) {
  const auto command = static_cast<uint32_t>(high);
  if ((command & kTxRs) == 0) return;
  const uint32_t causes = kIcrTxdw | kIcrTxq0;
  // 7.2.4: IDE lets the interrupt wait for TIDV.
  ((command & kTxIde) != 0 ? delayed_causes_ : causes_) |= causes;
  if (faults_.never_complete) return;
  // A fault here is counted by the map; there is nobody else to tell.
  static_cast<void>(dma_.WriteQuad(descriptor + 8, high | kTxDd));
  if (faults_.complete_twice && regs_[kTdh] != 0) {
    static_cast<void>(
        dma_.WriteQuad(descriptor + 8 - kDescriptorBytes, high | kTxDd));
  }
}

void Transmitter::Reset() {
  context_ = {};
  bytes_ = 0;
  started_ = bad_ = assembled_ = busy_ = false;
  causes_ = delayed_causes_ = 0;
}

}  // namespace bulkhead::nic_model::i82574
