// The PHY of one port of an 82576, behind MDIC (8.2.4).
//
// Firmware and the driver of the other port use the same wires, so that each
// use is between taking and giving back a semaphore (8.6).
#ifndef BULKHEAD_NIC_DRIVER_IGB_PHY_H_
#define BULKHEAD_NIC_DRIVER_IGB_PHY_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "base/task.h"
#include "nic_driver/framework/registers.h"

namespace bulkhead::nic_driver::igb {

// Threading: the loop's thread. Both outlive it.
class Phy {
 public:
  Phy(EventLoop& loop, const Registers& regs) : loop_(loop), regs_(regs) {}

  // Makes the PHY of `port` (STATUS.LAN_ID) negotiate, unless it is done with
  // that: a link that is up stays up. Ends when negotiation has begun, not when
  // it is over.
  Task<absl::Status> Negotiate(uint32_t port);

 private:
  Task<absl::Status> NegotiateAlone();
  Task<absl::StatusOr<uint16_t>> Read(uint32_t number);
  Task<absl::Status> Write(uint32_t number, uint16_t value);
  Task<absl::StatusOr<uint16_t>> Access(uint32_t command);
  // SWSM: all drivers and the firmware, for the moment of looking at
  // SW_FW_SYNC.
  Task<absl::Status> Lock(uint64_t deadline_ns);
  void Unlock();

  EventLoop& loop_;
  const Registers& regs_;
};

}  // namespace bulkhead::nic_driver::igb

#endif  // BULKHEAD_NIC_DRIVER_IGB_PHY_H_
