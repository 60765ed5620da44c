// The NVM behind EERD: chapter 6 of either datasheet.
#ifndef BULKHEAD_NIC_MODEL_INTEL_NVM_H_
#define BULKHEAD_NIC_MODEL_INTEL_NVM_H_

#include <array>
#include <cstdint>
#include <span>

namespace bulkhead::nic_model::intel {

class Nvm {
 public:
  static constexpr uint32_t kWords = 64;

  Nvm(std::span<const uint8_t, 6> mac, uint16_t device, uint16_t subsystem);

  // What EERD reads as after `command` was written to it (10.2.2.4). A word
  // beyond the NVM reads as all ones.
  uint32_t Read(uint32_t command) const;

 private:
  std::array<uint16_t, kWords> words_ = {};
};

}  // namespace bulkhead::nic_model::intel

#endif  // BULKHEAD_NIC_MODEL_INTEL_NVM_H_
