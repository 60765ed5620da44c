#include "clients/nic_traffic/sequence_window.h"

#include <algorithm>

namespace bulkhead::nic_traffic {

SequenceWindow::SequenceWindow(uint32_t bits)
    : bits_(bits), words_(bits / 64, 0) {}

bool SequenceWindow::Test(uint64_t sequence) const {
  const uint64_t bit = sequence & (bits_ - 1);
  return (words_[bit / 64] >> (bit % 64) & 1) != 0;
}

void SequenceWindow::Set(uint64_t sequence) {
  const uint64_t bit = sequence & (bits_ - 1);
  words_[bit / 64] |= uint64_t{1} << (bit % 64);
}

void SequenceWindow::ClearRange(uint64_t from, uint64_t to) {
  if (to - from >= bits_) {
    std::fill(words_.begin(), words_.end(), 0);
    return;
  }
  for (; from != to; ++from) {
    const uint64_t bit = from & (bits_ - 1);
    words_[bit / 64] &= ~(uint64_t{1} << (bit % 64));
  }
}

Arrival SequenceWindow::Add(uint64_t sequence) {
  if (sequence >= end_) {
    ClearRange(end_, sequence);  // The numbers skipped have not arrived.
    Set(sequence);
    end_ = sequence + 1;
    ++in_order_;
    return Arrival::kInOrder;
  }
  if (end_ - sequence > bits_) {
    ++stale_;
    return Arrival::kStale;
  }
  if (Test(sequence)) {
    ++duplicated_;
    return Arrival::kDuplicated;
  }
  Set(sequence);
  ++reordered_;
  return Arrival::kReordered;
}

}  // namespace bulkhead::nic_traffic
