// A network that sends every frame back, source and destination swapped.
#ifndef BULKHEAD_NIC_MODEL_NETWORK_ECHO_H_
#define BULKHEAD_NIC_MODEL_NETWORK_ECHO_H_

#include "base/event_loop.h"
#include "nic_model/network/network.h"

namespace bulkhead::nic_model {

// With flow control in both directions the echo loses nothing: it holds the
// NIC's transmitter while the NIC holds it. Not for ever, though: a receiver
// that takes nothing for kPatience loses frames, so that it cannot hold its
// own transmitter for good.
class Echo : public Network {
 public:
  Echo(EventLoop& loop, Port& port) : loop_(loop), port_(port) {}
  ~Echo() override;

  SendResult Send(std::span<uint8_t> frame) override;
  void PortReady() override;

 private:
  void StopWaiting();

  EventLoop& loop_;
  Port& port_;
  bool waiting_ = false;    // The NIC's transmitter waits for us.
  bool impatient_ = false;  // It has waited long enough.
  EventLoop::TimerId timer_ = 0;
};

}  // namespace bulkhead::nic_model

#endif  // BULKHEAD_NIC_MODEL_NETWORK_ECHO_H_
