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
  return (Reg(kTdlen) & 0xfff80) / kDescriptorBytes;
}

bool Transmitter::waiting() const {
  const uint32_t count = RingCount();
  return regs_.Has(kTctl, kTctlEn) && (Reg(kTxdctl) & kQueueEnable) != 0 &&
         dma_.bus_master() && Reg(kTdh) < count && Reg(kTdt) < count &&
         Reg(kTdh) != Reg(kTdt);
}

bool Transmitter::Process(uint32_t budget, bool link_up) {
  if (busy_ || !waiting()) return false;
  const uint64_t base = uint64_t{Reg(kTdbah)} << 32 | (Reg(kTdbal) & ~0xfu);
  const uint32_t count = RingCount();
  while (budget-- != 0 && waiting()) {
    const uint32_t head = Reg(kTdh);
    if (!HandleDescriptor(base + head * kDescriptorBytes, link_up)) {
      busy_ = true;
      break;
    }
    Reg(kTdh) = head + 1 == count ? 0 : head + 1;
    ++descriptors_done_;
  }
  network_->EndSend();
  if (std::exchange(reported_, false)) {
    interrupts_.RaiseOther(kIcrTxdw);
    interrupts_.RaiseTx(queue_);
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
  if (!advanced || (command & kTxTypeMask) != kTxTypeData) bad_ = true;
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
      .l4_bytes = high >> 40 & 0xff,
      .segment_bytes = static_cast<uint16_t>(high >> 48),
      .l4_type = static_cast<uint32_t>(high) & kTxL4tMask,
      .ipv4 = (high & kTxIpv4) != 0};
}

void Transmitter::Gather(uint64_t buffer, uint32_t bytes) {
  if (bad_) return;
  const size_t most = segmented() ? frame_.size() : kMaxFrameBytes;
  if (bytes > most - bytes_ ||
      !dma_.Read(buffer, std::span(frame_).subspan(bytes_, bytes))) {
    bad_ = true;
    return;
  }
  bytes_ += bytes;
}

// TSE, POPTS, PAYLEN and IDX count in the first descriptor of a frame.
bool Transmitter::segmented() const { return (first_high_ & kTxTse) != 0; }

void Transmitter::FinishFrame() {
  if (segmented()) return PrepareSegments();
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

void Transmitter::PrepareSegments() {
  const Context& context = contexts_[(first_high_ & kTxIndex) != 0];
  const size_t l4 = context.mac_bytes + context.ip_bytes;
  const size_t header = l4 + context.l4_bytes;
  cut_at_ = 0;
  // What one byte cannot say is longer than any real header.
  if (l4 == 0 || header > UINT8_MAX) {
    bad_ = true;
    return;
  }
  cut_ = {.ipcss = static_cast<uint8_t>(context.mac_bytes),
          .ipcso = static_cast<uint8_t>(context.mac_bytes + kIpv4Checksum),
          .tucss = static_cast<uint8_t>(l4),
          .tucso = static_cast<uint8_t>(l4 + kTcpChecksum),
          .ipcse = static_cast<uint16_t>(l4 - 1),
          .tucse = 0,
          .payload_bytes = static_cast<uint32_t>(first_high_ >> 46),
          .header_bytes = static_cast<uint8_t>(header),
          .segment_bytes = context.segment_bytes,
          .ipv4 = context.ipv4,
          .tcp = context.l4_type == kTxL4tTcp};
  bad_ = bad_ || !CanSegment(cut_, std::span(frame_).first(bytes_));
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
  if (bad_) {
    Bump(counters_.tx_bad);
  } else if (segmented()) {
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
  for (; cut_at_ < cut_.payload_bytes; cut_at_ += cut_.segment_bytes) {
    const size_t bytes = CutSegment(cut_, frame, cut_at_, segment_);
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
  if ((high & kTxRs) == 0) return;
  reported_ = true;
  if (faults_.never_complete) return;
  // A fault here is counted by the map; there is nobody else to tell.
  static_cast<void>(dma_.WriteQuad(descriptor + 8, high | kTxDd));
  if (faults_.complete_twice && Reg(kTdh) != 0) {
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
