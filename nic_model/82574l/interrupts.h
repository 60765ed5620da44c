// Interrupt causes, masks, moderation and the MSI-X vectors: datasheet 7.4 and
// 10.2.4.
#ifndef BULKHEAD_NIC_MODEL_82574L_INTERRUPTS_H_
#define BULKHEAD_NIC_MODEL_82574L_INTERRUPTS_H_

#include <array>
#include <cstdint>
#include <vector>

#include "base/event_loop.h"
#include "base/unique_fd.h"
#include "nic_model/82574l/registers.h"
#include "nic_model/counters.h"
#include "nic_model/intel/config_space.h"
#include "nic_model/intel/register_file.h"

namespace bulkhead::nic_model::i82574 {

// A cause that is set while its mask bit is set signals once; it can signal
// again after it was cleared. EIAC clears cause and mask as it signals, so that
// software re-arms by writing IMS alone. A cause that was set while masked
// signals when it is unmasked: no event is lost between a last look and the
// re-arming.
//
// The owner's eventfds stand for the message addresses: arming a vector also
// enables MSI-X and unmasks the vector's table entry, as VFIO does.
class Interrupts {
 public:
  Interrupts(EventLoop& loop, RegisterFile& regs, ConfigSpace& config,
             PortCounters& counters);
  ~Interrupts();

  // Registers.
  uint32_t ReadIcr();
  void WriteIcr(uint32_t value);
  void WriteIms(uint32_t value);
  void WriteImc(uint32_t value);
  void Raise(uint32_t causes);  // Also what a write of ICS does.

  // Raises `causes` after the packet timer `delay_register` (RDTR, TIDV), or
  // the absolute timer, in units of 1.024 µs; at once when it is 0.
  void RaiseDelayed(uint32_t causes, uint32_t delay_register,
                    uint32_t absolute_register);

  // After the registers were reset.
  void Reset();
  // After a reset of the function cleared config space: armed vectors stay
  // enabled, as after a reset through VFIO.
  void RestoreEnables();
  // Config space changed: what was masked by it may signal now.
  void ConfigChanged();

  // BAR3: the MSI-X table and the pending bits, of which only the table can be
  // written. Requires: whole words.
  uint32_t ReadTable(uint32_t offset) const;
  void WriteTable(uint32_t offset, uint32_t value);

  // vfio-user index 0 (INTx), 1 (MSI), 2 (MSI-X).
  static uint32_t VectorCount(uint32_t index);
  void Arm(uint32_t index, uint32_t start, std::vector<UniqueFd> events);
  void Disarm(uint32_t index);
  // Signals a vector without a cause; false when it is not armed.
  bool Signal(uint32_t index, uint32_t vector);

  // Test faults 34: no interrupt at all; each interrupt many times over.
  void set_mute(bool on) { mute_ = on; }
  void set_storm(bool on) { storm_ = on; }

 private:
  struct Vector {
    UniqueFd event;
    bool pending = false;  // Waits for its interval, or its mask.
    bool waiting = false;  // A timer is set.
    EventLoop::TimerId timer = 0;
    uint64_t last_ns = 0;
  };
  struct Delay {
    uint32_t causes = 0;
    bool waiting = false;
    EventLoop::TimerId timer = 0;
  };

  // Signals for every cause that is due and has not signalled yet.
  void Update();
  void SendMsix(uint32_t causes);
  // Signals, or remembers to, by the interval in `interval_register`.
  void Moderate(Vector& vector, uint32_t interval_register);
  void Fire(Vector& vector);
  bool Masked(const Vector& vector) const;
  uint32_t TableIndex(const Vector& vector) const;
  void CancelTimers();

  EventLoop& loop_;
  RegisterFile& regs_;
  ConfigSpace& config_;
  PortCounters& counters_;
  uint32_t signalled_ = 0;  // Causes that have signalled since they were set.
  std::array<Vector, kMsixVectors> msix_;
  Vector msi_;
  Vector intx_;
  std::array<std::array<uint32_t, 4>, kMsixVectors> table_;
  std::array<Delay, 2> delays_;  // Receive, transmit.
  bool mute_ = false;
  bool storm_ = false;
};

}  // namespace bulkhead::nic_model::i82574

#endif  // BULKHEAD_NIC_MODEL_82574L_INTERRUPTS_H_
