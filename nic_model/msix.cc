#include "nic_model/msix.h"

#include <fcntl.h>
#include <unistd.h>

#include <utility>

namespace bulkhead::nic_model {
namespace {

constexpr uint32_t kMasked = 1;  // Of an entry's control word.
constexpr int kStormCount = 64;

// A peer that fills the eventfd's counter must not block this model.
void MakeNonBlocking(const UniqueFd& event) {
  if (!event.valid()) return;
  const int flags = ::fcntl(event.get(), F_GETFL);
  if (flags >= 0) ::fcntl(event.get(), F_SETFL, flags | O_NONBLOCK);
}

}  // namespace

Msix::Msix(uint32_t vectors, const Faults& faults, PortCounters& counters)
    : vectors_(vectors), faults_(faults), counters_(counters) {
  for (Vector& vector : vectors_) vector.entry[3] = kMasked;
}

void Msix::Raise(uint32_t vector) {
  if (vector >= vectors_.size()) return;
  vectors_[vector].pending = true;
  Send(vectors_[vector]);
}

void Msix::Send(Vector& vector) {
  if (!vector.pending || !open_ || faults_.no_interrupt ||
      (vector.entry[3] & kMasked) != 0) {
    return;
  }
  vector.pending = false;
  if (!vector.event.valid()) return;
  Bump(counters_.interrupts);
  const uint64_t one = 1;
  for (int i = 0; i < (faults_.interrupt_storm ? kStormCount : 1); ++i) {
    // A counter that is full has been signalled.
    [[maybe_unused]] const ssize_t written =
        ::write(vector.event.get(), &one, sizeof(one));
  }
}

void Msix::set_open(bool open) {
  open_ = open;
  for (Vector& vector : vectors_) Send(vector);
}

void Msix::ClearPending() {
  for (Vector& vector : vectors_) vector.pending = false;
}

void Msix::Arm(uint32_t start, std::vector<UniqueFd> events) {
  for (size_t i = 0; i < events.size() && start + i < vectors_.size(); ++i) {
    Vector& vector = vectors_[start + i];
    MakeNonBlocking(events[i]);
    vector.event = std::move(events[i]);
    vector.entry[3] = vector.event.valid() ? 0 : kMasked;
    Send(vector);
  }
}

void Msix::DisarmAll() {
  for (Vector& vector : vectors_) {
    vector.event.Reset();
    vector.entry[3] = kMasked;
  }
}

bool Msix::armed() const {
  for (const Vector& vector : vectors_) {
    if (vector.event.valid()) return true;
  }
  return false;
}

bool Msix::Signal(uint32_t vector) {
  if (vector >= vectors_.size() || !vectors_[vector].event.valid()) {
    return false;
  }
  const uint64_t one = 1;
  return ::write(vectors_[vector].event.get(), &one, sizeof(one)) ==
         sizeof(one);
}

uint32_t Msix::ReadTable(uint32_t offset) const {
  const size_t vector = offset / 16;
  return vector < vectors_.size() ? vectors_[vector].entry[offset / 4 % 4] : 0;
}

void Msix::WriteTable(uint32_t offset, uint32_t value) {
  const size_t vector = offset / 16;
  if (vector >= vectors_.size()) return;
  vectors_[vector].entry[offset / 4 % 4] = value;
  Send(vectors_[vector]);
}

uint32_t Msix::Pending() const {
  uint32_t bits = 0;
  for (size_t i = 0; i < vectors_.size() && i < 32; ++i) {
    bits |= uint32_t{vectors_[i].pending} << i;
  }
  return bits;
}

}  // namespace bulkhead::nic_model
