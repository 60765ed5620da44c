// Whether the TAP device shall have a carrier, from what the session's status
// page says.
#ifndef BULKHEAD_CLIENTS_NIC_TAP_CARRIER_H_
#define BULKHEAD_CLIENTS_NIC_TAP_CARRIER_H_

#include <cstdint>

#include "packet_stream/status_page.h"

namespace bulkhead::nic_tap {

// A link that a running driver says is down takes the carrier away at once. A
// driver that is being replaced does not, for kHoldNs: the kernel would empty
// the interface's queues, forget neighbours and take up to a second to believe
// in the carrier again, where the link itself pauses for a millisecond.
class Carrier {
 public:
  static constexpr uint64_t kHoldNs = 2'000'000'000;

  bool Update(const packet_stream::SessionStatus& status, uint64_t now_ns) {
    using packet_stream::SessionState;
    if (status.epoch != epoch_ || status.state == SessionState::kRecovering) {
      if (hold_until_ns_ == 0 || status.epoch != epoch_) {
        hold_until_ns_ = now_ns + kHoldNs;
      }
      epoch_ = status.epoch;
    }
    const bool lost = status.state == SessionState::kParked ||
                      status.state == SessionState::kClosed;
    if (!lost && status.state == SessionState::kRunning && status.link_up) {
      up_ = true;
      hold_until_ns_ = 0;
    } else if (lost || now_ns >= hold_until_ns_) {
      up_ = false;
    }
    return up_;
  }
  bool up() const { return up_; }
  // When Update has to be called even if nothing happens; 0: not at all.
  uint64_t deadline_ns() const { return up_ ? hold_until_ns_ : 0; }

 private:
  uint32_t epoch_ = 0;
  uint64_t hold_until_ns_ = 0;
  bool up_ = false;
};

}  // namespace bulkhead::nic_tap

#endif  // BULKHEAD_CLIENTS_NIC_TAP_CARRIER_H_
