// An MSI-X table with its pending bits, and the eventfds that stand for its
// message addresses (PCI 3.0, 6.8.2).
#ifndef BULKHEAD_NIC_MODEL_MSIX_H_
#define BULKHEAD_NIC_MODEL_MSIX_H_

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/unique_fd.h"
#include "nic_model/counters.h"
#include "nic_model/faults.h"

namespace bulkhead::nic_model {

// Arming a vector also unmasks its table entry, as VFIO does. A vector that is
// raised while it is masked, or while the function may not send, stays pending.
class Msix {
 public:
  Msix(uint32_t vectors, const Faults& faults, PortCounters& counters);

  uint32_t vectors() const { return static_cast<uint32_t>(vectors_.size()); }

  void Raise(uint32_t vector);
  // Whether messages may be sent: bus master, and no function mask.
  void set_open(bool open);
  void ClearPending();

  // The requires of vfio_user::DeviceOps::ArmIrqs.
  void Arm(uint32_t start, std::vector<UniqueFd> events);
  void DisarmAll();
  bool armed() const;
  // Signals without a cause; false when the vector is not armed.
  bool Signal(uint32_t vector);

  // The table, 16 bytes a vector, and the pending bits. Requires: whole words.
  uint32_t ReadTable(uint32_t offset) const;
  void WriteTable(uint32_t offset, uint32_t value);
  uint32_t Pending() const;

 private:
  struct Vector {
    UniqueFd event;
    bool pending = false;
    std::array<uint32_t, 4> entry = {};  // Address, data, control.
  };

  void Send(Vector& vector);

  std::vector<Vector> vectors_;
  const Faults faults_;
  PortCounters& counters_;
  bool open_ = false;
};

}  // namespace bulkhead::nic_model

#endif  // BULKHEAD_NIC_MODEL_MSIX_H_
