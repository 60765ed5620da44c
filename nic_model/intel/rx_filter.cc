#include "nic_model/intel/rx_filter.h"

#include <cstring>

namespace bulkhead::nic_model::intel {
namespace {

constexpr uint32_t kReceiveAddresses = 16;

// 10.2.5.22: RCTL.MO chooses which 12 bits of the address index the table.
bool MulticastTableHas(const RegisterFile& regs,
                       std::span<const uint8_t> address) {
  constexpr int kShift[] = {4, 3, 2, 0};
  const int shift = kShift[(regs[kRctl] >> 12) & 3];
  const uint32_t hash =
      ((address[4] | (uint32_t{address[5]} << 8)) >> shift) & 0xfff;
  return (regs[kMta + 4 * (hash >> 5)] >> (hash & 31) & 1) != 0;
}

bool IsReceiveAddress(const RegisterFile& regs,
                      std::span<const uint8_t> address) {
  uint32_t low;
  uint16_t high;
  std::memcpy(&low, address.data(), 4);
  std::memcpy(&high, address.data() + 4, 2);
  for (uint32_t i = 0; i < kReceiveAddresses; ++i) {
    const uint32_t rah = regs[kRah0 + 8 * i];
    if ((rah & kRahValid) != 0 && regs[kRal0 + 8 * i] == low &&
        (rah & 0xffff) == high) {
      return true;
    }
  }
  return false;
}

}  // namespace

bool PassesFilter(const RegisterFile& regs,
                  std::span<const uint8_t> destination) {
  if (IsReceiveAddress(regs, destination)) return true;
  if ((destination[0] & 1) == 0) return regs.Has(kRctl, kRctlUpe);
  if (regs.Has(kRctl, kRctlMpe)) return true;
  bool broadcast = true;
  for (int i = 0; i < 6; ++i) broadcast &= destination[i] == 0xff;
  if (broadcast && regs.Has(kRctl, kRctlBam)) return true;
  return MulticastTableHas(regs, destination);
}

}  // namespace bulkhead::nic_model::intel
