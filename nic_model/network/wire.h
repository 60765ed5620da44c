// A cable to another simulated NIC or to a switch: a seqpacket socket, a frame
// a packet.
#ifndef BULKHEAD_NIC_MODEL_NETWORK_WIRE_H_
#define BULKHEAD_NIC_MODEL_NETWORK_WIRE_H_

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"
#include "nic_model/network/network.h"

namespace bulkhead::nic_model {

// A full socket holds the NIC's transmitter, as the time that bits take on a
// real cable does. A socket that stays full for kPatience has nobody at its
// other end: frames are then dropped until it empties.
class Wire : public Network {
 public:
  static absl::StatusOr<std::unique_ptr<Wire>> Create(EventLoop& loop,
                                                      Port& port,
                                                      UniqueFd socket);
  ~Wire() override;

  SendResult Send(std::span<uint8_t> frame) override;
  void EndSend() override;
  void PortReady() override;

 private:
  static constexpr size_t kBatch = 32;
  using Buffer = std::array<uint8_t, kMaxFrameBytes>;

  Wire(EventLoop& loop, Port& port, UniqueFd socket);

  void HandleEvents(uint32_t events);
  void ReceiveBatch();
  // Sends what is queued; false: some is left, the socket is full.
  bool Flush();
  void WaitForRoom();
  // Asks the loop for what this end waits for now.
  void Rewatch();
  void Unplug();

  EventLoop& loop_;
  Port& port_;
  UniqueFd socket_;
  EventLoop::WatchId watch_ = 0;
  uint32_t watched_ = 0;    // Events.
  bool paused_ = false;     // The NIC wants no frames: do not read.
  bool full_ = false;       // Waiting for room in the socket.
  bool deserted_ = false;   // It was full for too long.
  bool nic_waits_ = false;  // Its transmitter was told kBusy.
  EventLoop::TimerId timer_ = 0;
  size_t queued_ = 0;
  // Heap: untouched pages of the buffers cost nothing.
  std::unique_ptr<std::array<Buffer, kBatch>> tx_buffers_;
  std::unique_ptr<std::array<Buffer, kBatch>> rx_buffers_;
  std::array<iovec, kBatch> tx_parts_;
  std::array<iovec, kBatch> rx_parts_;
  std::array<mmsghdr, kBatch> tx_messages_ = {};
  std::array<mmsghdr, kBatch> rx_messages_ = {};
};

}  // namespace bulkhead::nic_model

#endif  // BULKHEAD_NIC_MODEL_NETWORK_WIRE_H_
