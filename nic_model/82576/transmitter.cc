#include "nic_model/82576/transmitter.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "nic_model/82576/registers.h"
#include "nic_model/frames/checksum.h"

namespace bulkhead::nic_model::i82576 {
namespace {

constexpr uint64_t kDescriptorBytes = 16;
// Where the headers have their checksums.
constexpr size_t kIpv4Checksum = 10;
constexpr size_t kUdpChecksum = 6;
constexpr size_t kTcpChecksum = 16;

}  // namespace

uint32_t Transmitter::RingCount() const {
  return (regs_[kTdlen] & 0xfff80) / kDescriptorBytes;
}

bool Transmitter::waiting() const {
  const uint32_t count = RingCount();
  return regs_.Has(kTctl, kTctlEn) && regs_.Has(kTxdctl, kQueueEnable) &&
         dma_.bus_master() && regs_[kTdh] < count && regs_[kTdt] < count &&
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
  if (std::exchange(reported_, false)) {
    interrupts_.RaiseOther(kIcrTxdw);
    interrupts_.RaiseTx(0);
  }
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
  const bool advanced = (command & kTxDext) != 0;
  if (advanced && (command & kTxTypeMask) == kTxTypeContext) {
    TakeContext(low, high);
    Report(descriptor, high);
    return true;
  }
  if (!std::exchange(started_, true)) first_high_ = high;
  if (!advanced || (command & kTxTypeMask) != kTxTypeData ||
      (command & kTxTse) != 0) {
    bad_ = true;
  }
  Gather(low, command & 0xffff);
  if ((command & kTxEop) != 0) {
    FinishFrame();
    assembled_ = true;
    held_high_ = high;
    if (!SendFrame(link_up)) return false;
  }
  Report(descriptor, high);
  return true;
}

void Transmitter::TakeContext(uint64_t low, uint64_t high) {
  contexts_[(high & kTxIndex) != 0] = {
      .mac_bytes = low >> 9 & 0x7f,
      .ip_bytes = low & 0x1ff,
      .l4_type = static_cast<uint32_t>(high) & kTxL4tMask};
}

void Transmitter::Gather(uint64_t buffer, uint32_t bytes) {
  if (bad_) return;
  if (bytes > frame_.size() - bytes_ ||
      !dma_.Read(buffer, std::span(frame_).subspan(bytes_, bytes))) {
    bad_ = true;
    return;
  }
  bytes_ += bytes;
}

// POPTS and IDX count in the first descriptor of a frame.
void Transmitter::FinishFrame() {
  const std::span<uint8_t> frame = std::span(frame_).first(bytes_);
  const Context& context = contexts_[(first_high_ & kTxIndex) != 0];
  // What lies outside the frame is not inserted.
  if ((first_high_ & kTxTxsm) != 0) InsertL4(frame, context);
  if ((first_high_ & kTxIxsm) != 0 && context.ip_bytes != 0) {
    static_cast<void>(InsertChecksum(frame, context.mac_bytes,
                                     context.mac_bytes + context.ip_bytes - 1,
                                     context.mac_bytes + kIpv4Checksum));
  }
  if (bytes_ < kMinFrameBytes && regs_.Has(kTctl, kTctlPsp)) {
    std::memset(frame_.data() + bytes_, 0, kMinFrameBytes - bytes_);
    bytes_ = kMinFrameBytes;
  }
  // Not even an Ethernet header.
  if (bytes_ < 14) bad_ = true;
}

void Transmitter::InsertL4(std::span<uint8_t> frame, const Context& context) {
  const size_t start = context.mac_bytes + context.ip_bytes;
  const bool udp = context.l4_type == kTxL4tUdp;
  // SCTP's CRC is not modelled.
  if (!udp && context.l4_type != kTxL4tTcp) return;
  const size_t at = start + (udp ? kUdpChecksum : kTcpChecksum);
  if (!InsertChecksum(frame, start, 0, at)) return;
  // RFC 768: 0 would mean that there is none.
  if (udp && frame[at] == 0 && frame[at + 1] == 0) {
    frame[at] = frame[at + 1] = 0xff;
  }
}

bool Transmitter::SendFrame(bool link_up) {
  const std::span<uint8_t> frame = std::span(frame_).first(bytes_);
  if (bad_) {
    Bump(counters_.tx_bad);
  } else if (!link_up) {
    Bump(counters_.network_dropped);
  } else {
    uint8_t destination[6];
    std::memcpy(destination, frame.data(), sizeof(destination));
    switch (network_->Send(frame)) {
      case SendResult::kBusy:
        return false;
      case SendResult::kDropped:
        Bump(counters_.network_dropped);
        break;
      case SendResult::kSent:
        Bump(counters_.tx_frames);
        Bump(counters_.tx_bytes, bytes_);
        statistics_.CountSent(destination, bytes_);
        break;
    }
  }
  started_ = bad_ = assembled_ = false;
  bytes_ = 0;
  return true;
}

void Transmitter::Report(uint64_t descriptor, uint64_t high) {
  if ((high & kTxRs) == 0) return;
  reported_ = true;
  if (faults_.never_complete) return;
  // A fault here is counted by the map; there is nobody else to tell.
  static_cast<void>(dma_.WriteQuad(descriptor + 8, high | kTxDd));
  if (faults_.complete_twice && regs_[kTdh] != 0) {
    static_cast<void>(
        dma_.WriteQuad(descriptor + 8 - kDescriptorBytes, high | kTxDd));
  }
}

void Transmitter::Reset() {
  contexts_ = {};
  bytes_ = 0;
  started_ = bad_ = assembled_ = busy_ = reported_ = false;
}

}  // namespace bulkhead::nic_model::i82576
