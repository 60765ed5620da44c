// A network interface of Linux, frame by frame: an AF_PACKET socket for the
// frames of one interface, in batches; for the test frames (EtherType 0x88B5),
// unless told otherwise.
//
// Requires:   CAP_NET_RAW in the network namespace of the interface.
// Guarantees: Send() returns when the driver has taken every frame: none is
//             dropped by a queue above it (packet(7), PACKET_QDISC_BYPASS).
//             A frame that did not fit the receive buffer is counted.
// Threading:  one thread.
#ifndef BULKHEAD_TESTS_HARDWARE_PEER_PACKET_SOCKET_H_
#define BULKHEAD_TESTS_HARDWARE_PEER_PACKET_SOCKET_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "clients/nic_traffic/test_frame.h"

namespace bulkhead::hardware_tests {

class PacketSocket {
 public:
  static constexpr size_t kBatch = 64;
  static constexpr size_t kFrameBytes = 9216;
  using Mac = std::array<uint8_t, 6>;

  static absl::StatusOr<PacketSocket> Create(
      const std::string& interface,
      uint16_t ether_type = nic_traffic::kEtherType);

  const Mac& mac() const { return mac_; }

  // Waits for frames, at most `timeout_ms`; returns how many there are. They
  // are in frame(0)… until the next call. Less than 0: the interface is gone.
  int Receive(int timeout_ms);
  std::span<uint8_t> frame(size_t index) {
    return {&buffers_[index * kFrameBytes], sizes_[index]};
  }
  // Room for frame `index` of a batch to send, `bytes` long.
  std::span<uint8_t> NewFrame(size_t index, size_t bytes);
  // Sends frame(0)…frame(count - 1). False: the interface takes none any more.
  bool Send(size_t count);

  // Frames that found the receive buffer full; counted by the kernel.
  uint64_t TakeDropped();

 private:
  PacketSocket(UniqueFd socket, Mac mac);

  UniqueFd socket_;
  Mac mac_;
  std::vector<uint8_t> buffers_;
  std::array<size_t, kBatch> sizes_{};
};

}  // namespace bulkhead::hardware_tests

#endif  // BULKHEAD_TESTS_HARDWARE_PEER_PACKET_SOCKET_H_
