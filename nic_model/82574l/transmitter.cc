#include "nic_model/82574l/transmitter.h"

#include <utility>

#include "nic_model/frames/checksum.h"

namespace bulkhead::nic_model::i82574 {
namespace {

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

bool Transmitter::waiting() const {
  return regs_.Has(kTctl, kTctlEn) && ring_.owned() != 0;
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
  if (ring_.head() == ring_.tail()) causes_ |= kIcrTxqe;
  const uint32_t causes = std::exchange(causes_, 0);
  if (causes != 0) interrupts_.Raise(causes);
  const uint32_t delayed = std::exchange(delayed_causes_, 0);
  if (delayed != 0) interrupts_.RaiseDelayed(delayed, kTidv, kTadv);
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
  const bool extended = (command & kTxDext) != 0;
  if (extended && (command & kTxTypeMask) == 0) {
    context_ = ParseTxContext(low, high);
    Report(high);
    return true;
  }
  if (frame_.Begin()) {
    popts_ = extended ? static_cast<uint8_t>(high >> 40) : 0;
    segmented_ = extended && (command & kTxTse) != 0;
  }
  if (extended && (command & kTxTypeMask) != kTxTypeData) frame_.Spoil();
  frame_.Append(low, extended ? command & 0xfffff : command & 0xffff,
                segmented_);
  if ((command & kTxEop) != 0) {
    FinishFrame(high);
    held_high_ = high;
    if (!frame_.Send(link_up)) return false;
  }
  Report(high);
  return true;
}

void Transmitter::FinishFrame(uint64_t high) {
  if (segmented_) return frame_.FinishCut(context_);
  const auto command = static_cast<uint32_t>(high);
  const std::span<uint8_t> frame = frame_.bytes();
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
  frame_.FinishWhole(regs_.Has(kTctl, kTctlPsp));
}

void Transmitter::Report(uint64_t high) {
  const auto command = static_cast<uint32_t>(high);
  if ((command & kTxRs) == 0) return;
  const uint32_t causes = kIcrTxdw | kIcrTxq0;
  // 7.2.4: IDE lets the interrupt wait for TIDV.
  ((command & kTxIde) != 0 ? delayed_causes_ : causes_) |= causes;
  // A fault here is counted by the map; there is nobody else to tell.
  static_cast<void>(ring_.WriteBack(high | kTxDd));
}

void Transmitter::Reset() {
  context_ = {};
  frame_.Reset();
  busy_ = false;
  causes_ = delayed_causes_ = 0;
}

}  // namespace bulkhead::nic_model::i82574
