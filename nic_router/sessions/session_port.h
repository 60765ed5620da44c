// A port of the engine that is a session: besides moving frames it can be slept
// on.
#ifndef BULKHEAD_NIC_ROUTER_SESSIONS_SESSION_PORT_H_
#define BULKHEAD_NIC_ROUTER_SESSIONS_SESSION_PORT_H_

#include "nic_router/engine/port.h"

namespace bulkhead::nic_router {

// Sleeping is packet_stream/doorbell.h's: process, arm, re-check.
class SessionPort : public Port {
 public:
  // Announces that we sleep, then looks again. False: there is work, and
  // nothing is announced.
  [[nodiscard]] bool Arm() {
    if (paused_) return true;
    if (!armed_) armed_ = DoArm();
    moved_ = false;
    return armed_;
  }
  // Takes the announcement back, so that the peer rings no more.
  // Whoever rings one that did not announce it (a paused one's peer may) is
  // silenced, too.
  void Disarm() {
    armed_ = false;
    DoDisarm();
  }
  bool armed() const { return armed_; }
  void Pause(bool paused) override { paused_ = paused; }
  // Frames went either way since Arm: the peer is awake, and would ring.
  bool moved() const { return moved_; }

  // Readable when the peer rang.
  virtual int fd() const = 0;

 protected:
  void NoteMoved() { moved_ = true; }

 private:
  virtual bool DoArm() = 0;
  virtual void DoDisarm() = 0;

  bool armed_ = false;
  bool paused_ = false;
  bool moved_ = false;
};

}  // namespace bulkhead::nic_router

#endif  // BULKHEAD_NIC_ROUTER_SESSIONS_SESSION_PORT_H_
