// Interrupt causes, masks, moderation and the MSI-X vectors: datasheet 7.3 and
// 8.8.
#ifndef BULKHEAD_NIC_MODEL_82576_INTERRUPTS_H_
#define BULKHEAD_NIC_MODEL_82576_INTERRUPTS_H_

#include <array>
#include <cstdint>

#include "base/event_loop.h"
#include "nic_model/82576/registers.h"
#include "nic_model/intel/register_file.h"
#include "nic_model/msix.h"

namespace bulkhead::nic_model::i82576 {

// Two layers. A queue's event sets its vector's bit in EICR (IVAR); an event in
// ICR that IMS lets through sets that of IVAR_MISC. A bit that is set in EICR
// and in EIMS sends a message once; it can send again after it was cleared.
// EIAC clears the bit as the message leaves, EIAM masks it when GPIE.EIAME is
// set. A bit that was set while masked sends when it is unmasked: no event is
// lost between a last look and the re-arming.
//
// Without GPIE.Multiple_MSIX nothing is sent: MSI and INTx are not modelled.
class Interrupts {
 public:
  Interrupts(EventLoop& loop, intel::RegisterFile& regs, Msix& msix)
      : loop_(loop), regs_(regs), msix_(msix) {}
  ~Interrupts() { CancelTimers(); }

  void RaiseRx(uint32_t queue) { RaiseQueue(queue, 0); }
  void RaiseTx(uint32_t queue) { RaiseQueue(queue, 1); }
  void RaiseOther(uint32_t causes);  // Also what a write of ICS does.

  // Registers.
  uint32_t ReadIcr();
  uint32_t ReadEicr();
  void WriteIcr(uint32_t value);
  void WriteIms(uint32_t value);
  void WriteImc(uint32_t value);
  void WriteEics(uint32_t value);
  void WriteEicr(uint32_t value);
  void WriteEims(uint32_t value);
  void WriteEimc(uint32_t value);

  // After the registers were reset.
  void Reset();

 private:
  // Of one vector.
  struct Moderation {
    bool waiting = false;  // A timer is set.
    EventLoop::TimerId timer = 0;
    uint64_t last_ns = 0;
  };

  void RaiseQueue(uint32_t queue, uint32_t direction);
  // Sets the EICR bit that an entry of IVAR or IVAR_MISC names.
  void RaiseEntry(uint32_t entry);
  // Sends for every vector that is due and has not sent yet.
  void Update();
  void Send(uint32_t vector);
  void Message(uint32_t vector);
  void CancelTimers();

  EventLoop& loop_;
  intel::RegisterFile& regs_;
  Msix& msix_;
  uint32_t seen_causes_ = 0;  // In ICR, passed on since they were set.
  uint32_t sent_ = 0;         // In EICR, sent since they were set.
  std::array<Moderation, kMsixVectors> moderation_;
};

}  // namespace bulkhead::nic_model::i82576

#endif  // BULKHEAD_NIC_MODEL_82576_INTERRUPTS_H_
