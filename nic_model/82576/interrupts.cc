#include "nic_model/82576/interrupts.h"

#include <chrono>

#include "base/clock.h"

namespace bulkhead::nic_model::i82576 {

void Interrupts::CancelTimers() {
  for (Moderation& vector : moderation_) {
    if (vector.waiting) loop_.Cancel(vector.timer);
    vector.waiting = false;
  }
}

void Interrupts::Reset() {
  CancelTimers();
  msix_.ClearPending();
  seen_causes_ = sent_ = 0;
}

uint32_t Interrupts::ReadIcr() {
  const uint32_t value = regs_[kIcr];
  regs_[kIcr] = 0;
  Update();
  return value == 0 ? 0 : value | kIcrIntAsserted;
}

uint32_t Interrupts::ReadEicr() {
  const uint32_t value = regs_[kEicr];
  regs_[kEicr] = 0;
  Update();
  return value;
}

void Interrupts::WriteIcr(uint32_t value) {
  regs_[kIcr] &= ~value;
  Update();
}

void Interrupts::WriteIms(uint32_t value) {
  regs_[kIms] |= value & kIcrAll;
  Update();
}

void Interrupts::WriteImc(uint32_t value) {
  regs_[kIms] &= ~value;
  Update();
}

void Interrupts::WriteEics(uint32_t value) {
  regs_[kEicr] |= value & kEicrAll;
  Update();
}

void Interrupts::WriteEicr(uint32_t value) {
  regs_[kEicr] &= ~value;
  Update();
}

void Interrupts::WriteEims(uint32_t value) {
  regs_[kEims] |= value & kEicrAll;
  Update();
}

void Interrupts::WriteEimc(uint32_t value) {
  regs_[kEims] &= ~value;
  Update();
}

void Interrupts::RaiseOther(uint32_t causes) {
  regs_[kIcr] |= causes & kIcrAll;
  Update();
}

void Interrupts::RaiseQueue(uint32_t queue, uint32_t direction) {
  const uint32_t shift = 8 * (direction + (queue < 8 ? 0 : 2));
  RaiseEntry(regs_[kIvar0 + 4 * (queue % 8)] >> shift);
  Update();
}

void Interrupts::RaiseEntry(uint32_t entry) {
  if ((entry & kIvarValid) == 0) return;
  regs_[kEicr] |= (1u << (entry & kIvarVector)) & kEicrAll;
}

void Interrupts::Update() {
  if (!regs_.Has(kGpie, kGpieMultipleMsix)) return;
  const uint32_t causes = regs_[kIcr] & regs_[kIms];
  const bool fresh_cause = (causes & ~seen_causes_) != 0;
  seen_causes_ = causes;
  if (fresh_cause) RaiseEntry(regs_[kIvarMisc] >> 8);

  const uint32_t due = regs_[kEicr] & regs_[kEims];
  sent_ &= due;
  const uint32_t fresh = due & ~sent_;
  for (uint32_t vector = 0; vector < kMsixVectors; ++vector) {
    if ((fresh >> vector & 1) != 0) Send(vector);
  }
}

void Interrupts::Send(uint32_t vector) {
  const uint32_t bit = 1u << vector;
  sent_ |= bit;
  Moderation& moderation = moderation_[vector];
  // Once the interval is over, one message stands for all.
  if (moderation.waiting) return;
  const uint64_t interval_ns =
      uint64_t{(regs_[kEitr0 + 4 * vector] & kEitrMask) >> kEitrShift} * 1000;
  const uint64_t now_ns = MonotonicNs();
  const uint64_t due_ns = moderation.last_ns + interval_ns;
  if (interval_ns == 0 || now_ns >= due_ns) return Message(vector);
  moderation.waiting = true;
  moderation.timer =
      loop_.After(std::chrono::nanoseconds(due_ns - now_ns), [this, vector] {
        moderation_[vector].waiting = false;
        if ((sent_ >> vector & 1) != 0) Message(vector);
      });
}

void Interrupts::Message(uint32_t vector) {
  const uint32_t bit = 1u << vector;
  moderation_[vector].last_ns = MonotonicNs();
  regs_[kEicr] &= ~(regs_[kEiac] & bit);
  if (regs_.Has(kGpie, kGpieEiame)) regs_[kEims] &= ~(regs_[kEiam] & bit);
  sent_ &= regs_[kEicr] & regs_[kEims];
  msix_.Raise(vector);
}

}  // namespace bulkhead::nic_model::i82576
