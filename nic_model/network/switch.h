// A learning Ethernet switch between seqpacket sockets, a frame a packet.
#ifndef BULKHEAD_NIC_MODEL_NETWORK_SWITCH_H_
#define BULKHEAD_NIC_MODEL_NETWORK_SWITCH_H_

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"
#include "nic_model/network/network.h"

namespace bulkhead::nic_model {

// Which port an address was last seen at. Bounded: an address may displace
// another one, which is then flooded until it is seen again.
class AddressTable {
 public:
  static constexpr int kUnknown = -1;

  void Learn(std::span<const uint8_t, 6> address, int port);
  int Find(std::span<const uint8_t, 6> address) const;
  // A port went away.
  void Forget(int port);

 private:
  static constexpr size_t kEntries = 4096;
  struct Entry {
    uint64_t address = 0;  // 0: free. As a number, which is never 0 here.
    int port = kUnknown;
  };
  static uint64_t Number(std::span<const uint8_t, 6> address);
  static size_t Slot(uint64_t number);

  std::array<Entry, kEntries> entries_;
};

// A frame that a port's socket has no room for is dropped and counted, so that
// a port whose NIC is dead holds up no other. Threading: the loop's thread.
class Switch {
 public:
  static constexpr size_t kMaxPorts = 64;

  explicit Switch(EventLoop& loop);
  ~Switch();

  absl::Status AddPort(UniqueFd socket);

  uint64_t forwarded() const { return forwarded_; }
  uint64_t dropped() const { return dropped_; }

 private:
  static constexpr size_t kBatch = 32;
  struct SwitchPort {
    UniqueFd socket;  // Empty: unplugged.
    EventLoop::WatchId watch = 0;
    // What goes out with the next flush; points into buffers_.
    std::array<mmsghdr, kBatch> queue = {};
    size_t queued = 0;
  };

  void HandleReadable(int index);
  void Forward(int from, size_t buffer);
  void Enqueue(SwitchPort& port, size_t buffer);
  void Flush(SwitchPort& port);
  void Unplug(int index);

  EventLoop& loop_;
  AddressTable table_;
  std::vector<std::unique_ptr<SwitchPort>> ports_;
  std::unique_ptr<std::array<std::array<uint8_t, kMaxFrameBytes>, kBatch>>
      buffers_;
  std::array<iovec, kBatch> rx_parts_;
  std::array<iovec, kBatch> tx_parts_;  // As long as the frames are.
  std::array<mmsghdr, kBatch> rx_messages_ = {};
  uint64_t forwarded_ = 0;
  uint64_t dropped_ = 0;
};

}  // namespace bulkhead::nic_model

#endif  // BULKHEAD_NIC_MODEL_NETWORK_SWITCH_H_
