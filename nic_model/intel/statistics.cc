#include "nic_model/intel/statistics.h"

namespace bulkhead::nic_model::intel {
namespace {

constexpr size_t kFcsBytes = 4;

bool IsPairHigh(uint32_t offset) {
  return offset == kGorcl + 4 || offset == kGotcl + 4 || offset == kTorl + 4 ||
         offset == kTotl + 4;
}
bool IsPairLow(uint32_t offset) { return IsPairHigh(offset + 4); }

bool IsBroadcast(std::span<const uint8_t> frame) {
  for (int i = 0; i < 6; ++i) {
    if (frame[i] != 0xff) return false;
  }
  return true;
}

}  // namespace

uint32_t Statistics::Read(uint32_t offset) {
  const uint32_t value = regs_[offset];
  if (IsPairLow(offset)) return value;
  regs_[offset] = 0;
  if (IsPairHigh(offset)) regs_[offset - 4] = 0;
  return value;
}

void Statistics::Count(uint32_t offset, uint32_t by) {
  uint32_t& value = regs_[offset];
  value = value > UINT32_MAX - by ? UINT32_MAX : value + by;
}

void Statistics::Count64(uint32_t low_offset, uint64_t by) {
  const uint64_t value =
      (uint64_t{regs_[low_offset + 4]} << 32 | regs_[low_offset]) + by;
  regs_[low_offset] = static_cast<uint32_t>(value);
  regs_[low_offset + 4] = static_cast<uint32_t>(value >> 32);
}

void Statistics::CountBySize(uint32_t first_offset, size_t bytes) {
  constexpr size_t kUpTo[] = {64, 127, 255, 511, 1023};
  uint32_t bin = 0;
  while (bin < 5 && bytes > kUpTo[bin]) ++bin;
  Count(first_offset + 4 * bin);
}

void Statistics::CountArrived(size_t bytes) {
  Count(kTpr);
  Count64(kTorl, bytes + kFcsBytes);
}

void Statistics::CountReceived(std::span<const uint8_t> frame) {
  Count(kGprc);
  Count64(kGorcl, frame.size() + kFcsBytes);
  CountBySize(kPrc64, frame.size() + kFcsBytes);
  if (IsBroadcast(frame)) {
    Count(kBprc);
  } else if ((frame[0] & 1) != 0) {
    Count(kMprc);
  }
}

void Statistics::CountSent(std::span<const uint8_t, 6> destination,
                           size_t bytes) {
  Count(kGptc);
  Count(kTpt);
  Count64(kGotcl, bytes + kFcsBytes);
  Count64(kTotl, bytes + kFcsBytes);
  CountBySize(kPtc64, bytes + kFcsBytes);
  if (IsBroadcast(destination)) {
    Count(kBptc);
  } else if ((destination[0] & 1) != 0) {
    Count(kMptc);
  }
}

}  // namespace bulkhead::nic_model::intel
