#include "nic_model/intel/phy.h"

#include "nic_model/intel/registers.h"

namespace bulkhead::nic_model::intel {
namespace {

constexpr uint32_t kControl = 0;
constexpr uint32_t kStatusRegister = 1;
constexpr uint32_t kAdvertise = 4;
constexpr uint32_t kPartner = 5;
constexpr uint32_t kGigabitStatus = 10;
constexpr uint32_t kCopperStatus = 17;

constexpr uint16_t kControlReset = 1u << 15;
constexpr uint16_t kControlRestart = 1u << 9;
constexpr uint16_t kLinkUp = 1u << 2;
constexpr uint16_t kNegotiated = 1u << 5;

bool ReadOnly(uint32_t number) {
  switch (number) {
    case kStatusRegister:
    case 2:
    case 3:
    case kPartner:
    case 6:
    case kGigabitStatus:
    case 15:
    case kCopperStatus:
      return true;
    default:
      return false;
  }
}

}  // namespace

void Phy::Reset() {
  registers_.fill(0);
  registers_[kControl] = 0x1140;         // Negotiate; gigabit, full duplex.
  registers_[kStatusRegister] = 0x7949;  // Everything it can do.
  registers_[2] = static_cast<uint16_t>(id_ >> 16);
  registers_[3] = static_cast<uint16_t>(id_);
  registers_[kAdvertise] = 0x0de1;
  registers_[9] = 0x0e00;
  registers_[15] = 0x3000;
  registers_[16] = 0x0360;
}

uint16_t Phy::Read(uint32_t number) {
  switch (number) {
    case kStatusRegister: {
      const bool up = link_ && !link_was_down_;
      link_was_down_ = !link_;
      return static_cast<uint16_t>(registers_[number] | (up ? kLinkUp : 0) |
                                   (link_ ? kNegotiated : 0));
    }
    case kPartner:
      return link_ ? 0xcde1 : 0;
    case kGigabitStatus:
      return link_ ? 0x7c00 : 0;
    case kCopperStatus:
      // 1000 Mb/s, full duplex, resolved, link, both pause directions.
      return link_ ? 0xac0c : 0x8000;
    default:
      return registers_[number];
  }
}

void Phy::Write(uint32_t number, uint16_t value) {
  if (ReadOnly(number)) return;
  if (number == kControl) {
    if ((value & kControlReset) != 0) Reset();
    // Both clear themselves; negotiation is over at once.
    value &= static_cast<uint16_t>(~(kControlReset | kControlRestart));
  }
  registers_[number] = value;
}

uint32_t Phy::Access(uint32_t command) {
  const uint32_t number = (command >> 16) & 0x1f;
  const uint32_t address = (command >> 21) & 0x1f;
  const uint32_t operation = command & (kMdicRead | kMdicWrite);
  command &= ~(kMdicError | kMdicReady);
  if (address != 1) return command | kMdicReady | kMdicError;
  if (operation == kMdicRead) {
    command = (command & 0xffff0000) | Read(number);
  } else if (operation == kMdicWrite) {
    Write(number, static_cast<uint16_t>(command));
  } else {
    command |= kMdicError;
  }
  return command | kMdicReady;
}

}  // namespace bulkhead::nic_model::intel
