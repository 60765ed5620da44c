// The PHY behind MDIC: IEEE 802.3, clause 22; datasheets 10.2.2.7 (82574) and
// 8.2.4 (82576).
#ifndef BULKHEAD_NIC_MODEL_INTEL_PHY_H_
#define BULKHEAD_NIC_MODEL_INTEL_PHY_H_

#include <array>
#include <cstdint>

namespace bulkhead::nic_model::intel {

// A gigabit full-duplex copper PHY whose partner can do everything.
class Phy {
 public:
  // What registers 2 and 3 hold: who made it.
  explicit Phy(uint32_t id) : id_(id) { Reset(); }

  // Registers after a PHY reset; the cable stays as it is.
  void Reset();
  // What MDIC reads as after `command` was written to it.
  uint32_t Access(uint32_t command);

  // The cable, and the partner at its other end.
  void set_link(bool up) { link_ = up; }
  bool link() const { return link_; }

 private:
  uint16_t Read(uint32_t number);
  void Write(uint32_t number, uint16_t value);

  const uint32_t id_;
  std::array<uint16_t, 32> registers_;
  bool link_ = true;
  bool link_was_down_ = false;  // Status bit 2 latches low.
};

}  // namespace bulkhead::nic_model::intel

#endif  // BULKHEAD_NIC_MODEL_INTEL_PHY_H_
