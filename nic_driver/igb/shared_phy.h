// The PHY of one port of an 82576.
//
// Firmware and the driver of the other port use the same wires, so that each
// use is between taking and giving back a semaphore (8.6).
#ifndef BULKHEAD_NIC_DRIVER_IGB_SHARED_PHY_H_
#define BULKHEAD_NIC_DRIVER_IGB_SHARED_PHY_H_

#include <cstdint>

#include "absl/status/status.h"
#include "base/event_loop.h"
#include "base/task.h"
#include "nic_driver/framework/registers.h"
#include "nic_driver/intel/phy.h"

namespace bulkhead::nic_driver::igb {

// Threading: the loop's thread. Both outlive it.
class SharedPhy {
 public:
  SharedPhy(EventLoop& loop, const Registers& regs)
      : loop_(loop), regs_(regs), phy_(loop, regs) {}

  // Makes the PHY of `port` (STATUS.LAN_ID) negotiate, unless it is done with
  // that: a link that is up stays up.
  Task<absl::Status> Negotiate(uint32_t port);

 private:
  // SWSM: all drivers and the firmware, for the moment of looking at
  // SW_FW_SYNC.
  Task<absl::Status> Lock(uint64_t deadline_ns);
  void Unlock();

  EventLoop& loop_;
  const Registers& regs_;
  intel::Phy phy_;
};

}  // namespace bulkhead::nic_driver::igb

#endif  // BULKHEAD_NIC_DRIVER_IGB_SHARED_PHY_H_
