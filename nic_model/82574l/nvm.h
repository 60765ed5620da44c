// The NVM behind EERD: datasheet chapter 6.
#ifndef BULKHEAD_NIC_MODEL_82574L_NVM_H_
#define BULKHEAD_NIC_MODEL_82574L_NVM_H_

#include <array>
#include <cstdint>
#include <span>

namespace bulkhead::nic_model::i82574 {

class Nvm {
 public:
  static constexpr uint32_t kWords = 64;

  explicit Nvm(std::span<const uint8_t, 6> mac);

  // What EERD reads as after `command` was written to it (10.2.2.4). A word
  // beyond the NVM reads as all ones.
  uint32_t Read(uint32_t command) const;

 private:
  std::array<uint16_t, kWords> words_ = {};
};

}  // namespace bulkhead::nic_model::i82574

#endif  // BULKHEAD_NIC_MODEL_82574L_NVM_H_
