#include "nic_model/intel/nvm.h"

#include "nic_model/intel/registers.h"

namespace bulkhead::nic_model::intel {

Nvm::Nvm(std::span<const uint8_t, 6> mac, uint16_t device, uint16_t subsystem) {
  for (uint32_t i = 0; i < 3; ++i) {
    words_[i] = static_cast<uint16_t>(mac[2 * i] | (mac[2 * i + 1] << 8));
  }
  words_[0x08] = 0xffff;  // PBA number: none.
  words_[0x09] = 0xffff;
  words_[0x0a] = 0x026b;  // Initialization control 1.
  words_[0x0b] = subsystem;
  words_[0x0c] = 0x8086;  // Subsystem vendor id.
  words_[0x0d] = device;
  words_[0x0f] = 0x0000;  // Initialization control 2.
  // 6.1.2: words 0 … 0x3f add up to 0xBABA.
  uint16_t sum = 0;
  for (uint32_t i = 0; i < 0x3f; ++i)
    sum = static_cast<uint16_t>(sum + words_[i]);
  words_[0x3f] = static_cast<uint16_t>(0xbaba - sum);
}

uint32_t Nvm::Read(uint32_t command) const {
  if ((command & kEerdStart) == 0) return command & ~kEerdDone;
  const uint32_t address = (command >> 2) & 0x3fff;
  const uint32_t word = address < kWords ? words_[address] : 0xffff;
  return (word << 16) | (address << 2) | kEerdDone;
}

}  // namespace bulkhead::nic_model::intel
