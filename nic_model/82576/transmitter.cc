#include "nic_model/82576/transmitter.h"

#include <utility>

#include "nic_model/82576/registers.h"
#include "nic_model/frames/checksum.h"

namespace bulkhead::nic_model::i82576 {
namespace {

// Where the headers have their checksums.
constexpr size_t kIpv4Checksum = 10;
constexpr size_t kUdpChecksum = 6;
constexpr size_t kTcpChecksum = 16;

}  // namespace

bool Transmitter::waiting() const {
  return regs_.Has(kTctl, kTctlEn) &&
         regs_.Has(OfQueue(queue_, kTxdctl), kQueueEnable) &&
         ring_.owned() != 0;
}

bool Transmitter::Process(uint32_t budget, bool link_up) {
  if (busy_ || !waiting()) return false;
  while (budget-- != 0 && waiting()) {
    if (!HandleDescriptor(link_up)) {
      busy_ = true;
      break;
    }
    ring_.Advance();
    ++descriptors_done_;
  }
  network_->EndSend();
  if (std::exchange(reported_, false)) {
    interrupts_.RaiseOther(kIcrTxdw);
    interrupts_.RaiseTx(queue_);
  }
  return !busy_ && waiting();
}

bool Transmitter::HandleDescriptor(bool link_up) {
  if (frame_.finished()) {
    if (!frame_.Send(link_up)) return false;
    Report(held_high_);
    return true;
  }
  uint64_t low, high;
  if (!ring_.Read(&low, &high)) {
    frame_.Lose();
    return true;
  }
  const auto command = static_cast<uint32_t>(high);
  const bool advanced = (command & kTxDext) != 0;
  if (advanced && (command & kTxTypeMask) == kTxTypeContext) {
    TakeContext(low, high);
    Report(high);
    return true;
  }
  if (frame_.Begin()) first_high_ = high;
  if (!advanced || (command & kTxTypeMask) != kTxTypeData) frame_.Spoil();
  frame_.Append(low, command & 0xffff, segmented());
  if ((command & kTxEop) != 0) {
    FinishFrame();
    held_high_ = high;
    if (!frame_.Send(link_up)) return false;
  }
  Report(high);
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

// TSE, POPTS, PAYLEN and IDX count in the first descriptor of a frame.
bool Transmitter::segmented() const { return (first_high_ & kTxTse) != 0; }

void Transmitter::FinishFrame() {
  const Context& context = contexts_[(first_high_ & kTxIndex) != 0];
  if (segmented()) return FinishSegments(context);
  const std::span<uint8_t> frame = frame_.bytes();
  // What lies outside the frame is not inserted.
  if ((first_high_ & kTxTxsm) != 0) InsertL4(frame, context);
  if ((first_high_ & kTxIxsm) != 0 && context.ip_bytes != 0) {
    static_cast<void>(InsertChecksum(frame, context.mac_bytes,
                                     context.mac_bytes + context.ip_bytes - 1,
                                     context.mac_bytes + kIpv4Checksum));
  }
  frame_.FinishWhole(regs_.Has(kTctl, kTctlPsp));
}

void Transmitter::FinishSegments(const Context& context) {
  const size_t l4 = context.mac_bytes + context.ip_bytes;
  const size_t header = l4 + context.l4_bytes;
  // What one byte cannot say is longer than any real header.
  if (l4 == 0 || header > UINT8_MAX) frame_.Spoil();
  frame_.FinishCut(
      {.ipcss = static_cast<uint8_t>(context.mac_bytes),
       .ipcso = static_cast<uint8_t>(context.mac_bytes + kIpv4Checksum),
       .tucss = static_cast<uint8_t>(l4),
       .tucso = static_cast<uint8_t>(l4 + kTcpChecksum),
       .ipcse = static_cast<uint16_t>(l4 - 1),
       .tucse = 0,
       .payload_bytes = static_cast<uint32_t>(first_high_ >> 46),
       .header_bytes = static_cast<uint8_t>(header),
       .segment_bytes = context.segment_bytes,
       .ipv4 = context.ipv4,
       .tcp = context.l4_type == kTxL4tTcp});
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

void Transmitter::Report(uint64_t high) {
  if ((high & kTxRs) == 0) return;
  reported_ = true;
  // A fault here is counted by the map; there is nobody else to tell.
  static_cast<void>(ring_.WriteBack(high | kTxDd));
}

void Transmitter::Reset() {
  contexts_ = {};
  frame_.Reset();
  busy_ = reported_ = false;
}

}  // namespace bulkhead::nic_model::i82576
