#include "nic_model/82574l/interrupts.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/clock.h"
#include "nic_model/vfio_user/client.h"

namespace bulkhead::nic_model::i82574 {
namespace {

constexpr uint32_t kIntxIndex = 0;
constexpr uint32_t kMsiIndex = 1;
constexpr uint32_t kMsixIndex = vfio_user::kMsixIrqIndex;

constexpr uint32_t kPbaOffset = 0x2000;
constexpr uint32_t kTableBytes = kMsixVectors * 16;
constexpr uint32_t kEntryMasked = 1;  // Vector control, word 3.
// Units of the moderation and delay registers (10.2.4.2, 10.2.5.13).
constexpr uint64_t kModerationNs = 256;
constexpr uint64_t kDelayNs = 1024;
constexpr int kStormCount = 64;

// A peer that fills the eventfd's counter must not block this model.
void MakeNonBlocking(const UniqueFd& event) {
  if (!event.valid()) return;
  const int flags = ::fcntl(event.get(), F_GETFL);
  if (flags >= 0) ::fcntl(event.get(), F_SETFL, flags | O_NONBLOCK);
}

}  // namespace

Interrupts::Interrupts(EventLoop& loop, RegisterFile& regs, ConfigSpace& config,
                       PortCounters& counters)
    : loop_(loop), regs_(regs), config_(config), counters_(counters) {
  for (auto& entry : table_) entry = {0, 0, 0, kEntryMasked};
}

Interrupts::~Interrupts() { CancelTimers(); }

void Interrupts::CancelTimers() {
  const auto cancel = [this](auto& holder) {
    if (holder.waiting) loop_.Cancel(holder.timer);
    holder.waiting = false;
  };
  for (Vector& vector : msix_) cancel(vector);
  cancel(msi_);
  cancel(intx_);
  for (Delay& delay : delays_) cancel(delay);
}

void Interrupts::Reset() {
  CancelTimers();
  for (Vector& vector : msix_) vector.pending = false;
  msi_.pending = intx_.pending = false;
  for (Delay& delay : delays_) delay.causes = 0;
  signalled_ = 0;
}

void Interrupts::RestoreEnables() {
  config_.set_msi_enabled(msi_.event.valid());
  for (const Vector& vector : msix_) {
    if (vector.event.valid()) config_.set_msix_enabled(true);
  }
}

void Interrupts::ConfigChanged() {
  Update();
  const auto fire = [this](Vector& vector) {
    if (vector.pending && !vector.waiting) Fire(vector);
  };
  for (Vector& vector : msix_) fire(vector);
  fire(msi_);
}

uint32_t Interrupts::ReadIcr() {
  const uint32_t value = regs_[kIcr];
  // 10.2.4.1: reading clears when nothing is unmasked, and when an interrupt
  // was asserted with auto-mask on; MSI-X with neither leaves the causes.
  const bool acknowledged = (value & kIcrIntAsserted) != 0;
  const bool auto_mask = regs_.Has(kCtrlExt, kCtrlExtIame);
  if (regs_[kIms] == 0 || !config_.msix_enabled()) regs_[kIcr] = 0;
  if (acknowledged && auto_mask) {
    regs_[kIcr] = 0;
    regs_[kIms] &= ~regs_[kIam];
  }
  Update();
  return value;
}

void Interrupts::WriteIcr(uint32_t value) {
  if (regs_.Has(kIcr, kIcrIntAsserted) && regs_.Has(kCtrlExt, kCtrlExtIame)) {
    regs_[kIms] &= ~regs_[kIam];
  }
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

void Interrupts::Raise(uint32_t causes) {
  regs_[kIcr] |= causes & kIcrAll;
  Update();
}

void Interrupts::RaiseDelayed(uint32_t causes, uint32_t delay_register,
                              uint32_t absolute_register) {
  uint64_t units = regs_[delay_register] & 0xffff;
  if (units == 0) return Raise(causes);
  const uint64_t absolute = regs_[absolute_register] & 0xffff;
  if (absolute != 0) units = std::min(units, absolute);
  Delay& delay = delays_[delay_register == kRdtr ? 0 : 1];
  delay.causes |= causes;
  // The first packet starts the timer; later ones join it. (The packet timer
  // proper would start anew with each, up to the absolute one: the same bound,
  // more timers.)
  if (delay.waiting) return;
  delay.waiting = true;
  delay.timer = loop_.After(std::chrono::nanoseconds(units * kDelayNs), [&] {
    delay.waiting = false;
    Raise(std::exchange(delay.causes, 0));
  });
}

void Interrupts::Update() {
  const bool msix = config_.msix_enabled();
  if (msix && regs_.Has(kIcr, kIcrOtherCauses)) regs_[kIcr] |= kIcrOther;
  regs_[kIcr] &= ~kIcrIntAsserted;
  const uint32_t due = regs_[kIcr] & regs_[kIms];
  if (due != 0) regs_[kIcr] |= kIcrIntAsserted;
  signalled_ &= due;
  const uint32_t fresh = due & ~signalled_;
  signalled_ |= fresh;
  if (msix) {
    if ((fresh & kIcrMsixCauses) != 0) SendMsix(fresh & kIcrMsixCauses);
  } else if (fresh != 0) {
    Moderate(config_.msi_enabled() ? msi_ : intx_, kItr);
  }
}

void Interrupts::SendMsix(uint32_t causes) {
  // 10.2.4.8 IVAR: four bits a cause: vector, valid.
  constexpr struct {
    uint32_t cause;
    uint32_t shift;
  } kAllocation[] = {{kIcrRxq0, 0},
                     {kIcrRxq1, 4},
                     {kIcrTxq0, 8},
                     {kIcrTxq1, 12},
                     {kIcrOther, 16}};
  for (const auto& [cause, shift] : kAllocation) {
    if ((causes & cause) == 0) continue;
    const uint32_t entry = (regs_[kIvar] >> shift) & 0xf;
    const uint32_t vector = entry & 7;
    if ((entry & 8) == 0 || vector >= kMsixVectors) continue;
    Moderate(msix_[vector], kEitr0 + 4 * vector);
    const uint32_t cleared = regs_[kEiac] & cause;
    regs_[kIcr] &= ~cleared;
    regs_[kIms] &= ~cleared;
    signalled_ &= ~cleared;
    if (regs_.Has(kCtrlExt, kCtrlExtEiame)) {
      regs_[kIms] &= ~(regs_[kIam] & cause);
      signalled_ &= ~(regs_[kIam] & cause);
    }
  }
}

void Interrupts::Moderate(Vector& vector, uint32_t interval_register) {
  vector.pending = true;
  if (vector.waiting) return;
  const uint64_t interval_ns =
      (regs_[interval_register] & 0xffff) * kModerationNs;
  if (interval_ns != 0) {
    const uint64_t now_ns = MonotonicNs();
    const uint64_t due_ns = vector.last_ns + interval_ns;
    if (now_ns < due_ns) {
      vector.waiting = true;
      vector.timer = loop_.After(std::chrono::nanoseconds(due_ns - now_ns),
                                 [&vector, this] {
                                   vector.waiting = false;
                                   if (vector.pending) Fire(vector);
                                 });
      return;
    }
    vector.last_ns = now_ns;
  }
  Fire(vector);
}

uint32_t Interrupts::TableIndex(const Vector& vector) const {
  return static_cast<uint32_t>(&vector - msix_.data());
}

bool Interrupts::Masked(const Vector& vector) const {
  if (!config_.bus_master() && &vector != &intx_) return true;
  if (&vector == &msi_ || &vector == &intx_) return false;
  return config_.msix_masked() ||
         (table_[TableIndex(vector)][3] & kEntryMasked) != 0;
}

void Interrupts::Fire(Vector& vector) {
  // Masked: the pending bit stays, until unmasked (PCI 3.0, 6.8.3.4).
  if (Masked(vector) || mute_) return;
  vector.pending = false;
  vector.last_ns = MonotonicNs();
  if (!vector.event.valid()) return;
  Bump(counters_.interrupts);
  const uint64_t one = 1;
  for (int i = 0; i < (storm_ ? kStormCount : 1); ++i) {
    // A counter that is full has been signalled.
    [[maybe_unused]] const ssize_t written =
        ::write(vector.event.get(), &one, sizeof(one));
  }
}

uint32_t Interrupts::ReadTable(uint32_t offset) const {
  if (offset < kTableBytes) return table_[offset / 16][offset / 4 % 4];
  if (offset != kPbaOffset) return 0;
  uint32_t pending = 0;
  for (uint32_t v = 0; v < kMsixVectors; ++v) {
    pending |= uint32_t{msix_[v].pending} << v;
  }
  return pending;
}

void Interrupts::WriteTable(uint32_t offset, uint32_t value) {
  if (offset >= kTableBytes) return;
  table_[offset / 16][offset / 4 % 4] = value;
  Vector& vector = msix_[offset / 16];
  if (vector.pending && !vector.waiting) Fire(vector);
}

uint32_t Interrupts::VectorCount(uint32_t index) {
  switch (index) {
    case kIntxIndex:
    case kMsiIndex:
      return 1;
    case kMsixIndex:
      return kMsixVectors;
    default:
      return 0;
  }
}

void Interrupts::Arm(uint32_t index, uint32_t start,
                     std::vector<UniqueFd> events) {
  for (size_t i = 0; i < events.size(); ++i) {
    MakeNonBlocking(events[i]);
    switch (index) {
      case kIntxIndex:
        intx_.event = std::move(events[i]);
        break;
      case kMsiIndex:
        msi_.event = std::move(events[i]);
        config_.set_msi_enabled(msi_.event.valid());
        break;
      case kMsixIndex:
        Vector& vector = msix_[start + i];
        vector.event = std::move(events[i]);
        table_[start + i][3] = vector.event.valid() ? 0 : kEntryMasked;
        if (vector.event.valid()) config_.set_msix_enabled(true);
        if (vector.pending && !vector.waiting) Fire(vector);
        break;
    }
  }
  Update();
}

void Interrupts::Disarm(uint32_t index) {
  switch (index) {
    case kIntxIndex:
      intx_.event.Reset();
      break;
    case kMsiIndex:
      msi_.event.Reset();
      config_.set_msi_enabled(false);
      break;
    case kMsixIndex:
      for (uint32_t i = 0; i < kMsixVectors; ++i) {
        msix_[i].event.Reset();
        table_[i][3] = kEntryMasked;
      }
      config_.set_msix_enabled(false);
      break;
  }
}

bool Interrupts::Signal(uint32_t index, uint32_t vector) {
  const Vector& chosen = index == kMsixIndex  ? msix_[vector]
                         : index == kMsiIndex ? msi_
                                              : intx_;
  if (!chosen.event.valid()) return false;
  const uint64_t one = 1;
  return ::write(chosen.event.get(), &one, sizeof(one)) == sizeof(one);
}

}  // namespace bulkhead::nic_model::i82574
