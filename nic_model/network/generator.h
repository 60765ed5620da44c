// A network that sends numbered frames, at a rate or as fast as the NIC takes
// them.
#ifndef BULKHEAD_NIC_MODEL_NETWORK_GENERATOR_H_
#define BULKHEAD_NIC_MODEL_NETWORK_GENERATOR_H_

#include <array>
#include <cstdint>

#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "nic_model/network/network.h"

namespace bulkhead::nic_model {

// Each frame: destination the NIC, source 02:00:00:00:00:01, EtherType 0x88b5
// (for experiments), then the frame's number and its time of sending in
// CLOCK_MONOTONIC nanoseconds, 8 bytes each, most significant first, then the
// bytes 0, 1, 2, … Takes and discards what the NIC sends.
class Generator : public Network {
 public:
  struct Options {
    std::array<uint8_t, 6> destination = {};
    uint64_t frames_per_second = 0;  // 0: as fast as the NIC takes them.
    uint32_t frame_bytes = kMinFrameBytes;
    uint64_t count = 0;  // 0: without end.
  };

  // InvalidArgument: a frame length that Ethernet does not have.
  static absl::StatusOr<std::unique_ptr<Generator>> Create(
      EventLoop& loop, Port& port, const Options& options);
  ~Generator() override;

  SendResult Send(std::span<uint8_t>) override { return SendResult::kSent; }
  void PortReady() override;

 private:
  Generator(EventLoop& loop, Port& port, const Options& options);

  bool finished() const {
    return options_.count != 0 && sent_ == options_.count;
  }
  void SendOne();
  // One burst, flat out; true when the NIC takes more.
  bool Burst();
  void Tick();

  EventLoop& loop_;
  Port& port_;
  const Options options_;
  std::array<uint8_t, kMaxFrameBytes> frame_;
  uint64_t sent_ = 0;
  bool bursting_ = false;
  EventLoop::PollerId poller_ = 0;
  EventLoop::TimerId timer_ = 0;
  uint64_t base_ns_ = 0;  // When frame number base_sent_ was due.
  uint64_t base_sent_ = 0;
};

}  // namespace bulkhead::nic_model

#endif  // BULKHEAD_NIC_MODEL_NETWORK_GENERATOR_H_
