// A tap interface of the machine: frames go to and come from its kernel.
#ifndef BULKHEAD_NIC_MODEL_NETWORK_TAP_H_
#define BULKHEAD_NIC_MODEL_NETWORK_TAP_H_

#include <array>
#include <memory>

#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"
#include "nic_model/network/network.h"

namespace bulkhead::nic_model {

// Requires: a descriptor whose reads and writes are one frame each (a tap
// device opened with IFF_TAP | IFF_NO_PI, or a seqpacket socket).
class Tap : public Network {
 public:
  static absl::StatusOr<std::unique_ptr<Tap>> Create(EventLoop& loop,
                                                     Port& port, UniqueFd tap);
  ~Tap() override;

  SendResult Send(std::span<uint8_t> frame) override;
  void PortReady() override;

 private:
  Tap(EventLoop& loop, Port& port, UniqueFd tap);

  absl::Status Watch();
  void StopReading();
  void HandleReadable();

  EventLoop& loop_;
  Port& port_;
  UniqueFd tap_;
  EventLoop::WatchId watch_ = 0;  // 0: not reading.
  bool ended_ = false;
  std::array<uint8_t, kMaxFrameBytes + 1> buffer_;
};

}  // namespace bulkhead::nic_model

#endif  // BULKHEAD_NIC_MODEL_NETWORK_TAP_H_
