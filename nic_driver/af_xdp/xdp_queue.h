// A queue of an interface, as one lane of a session has it: an XDP socket and
// its four rings.
#ifndef BULKHEAD_NIC_DRIVER_AF_XDP_XDP_QUEUE_H_
#define BULKHEAD_NIC_DRIVER_AF_XDP_XDP_QUEUE_H_

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "nic_driver/af_xdp/xdp_ring.h"
#include "nic_driver/framework/driver.h"
#include "nic_driver/framework/linux_interface.h"

namespace bulkhead::nic_driver {

// Guarantees: an address that the kernel returns is believed only for a buffer
//   that it was given and has not returned (S2, S7).
// Threading: one thread, but for TakeMissed, which may be another's.
class XdpQueue {
 public:
  static absl::StatusOr<std::unique_ptr<XdpQueue>> Create(SessionSocket socket,
                                                          uint32_t lane);

  // The lane's, and those that the kernel has of them by this socket.
  size_t RxBuffers() const { return rx_given_.size(); }
  size_t RxGiven() const { return rx_given_count_; }
  // At most RxBuffers() - RxGiven().
  void RxRefill(std::span<const RxBuffer> buffers);
  size_t RxHarvest(std::span<RxPiece> out);
  size_t TxRoom() const;
  void TxSubmit(std::span<const TxPiece> pieces);
  size_t TxReap(std::span<TxDone> out);

  int socket() const { return socket_.get(); }
  // Frames that the kernel had no buffer or no room for, since the last call.
  uint64_t TakeMissed();
  // What is still in the rings. The queue is of no use after that.
  StopReport Report();

 private:
  XdpQueue() = default;

  absl::Status MapRings(const XdpRings& rings);
  // The buffer of an address in the rx part of UMEM, if the kernel has it.
  bool TakeBack(const xdp_desc& entry, RxPiece* piece);
  void Call();
  void Submit(std::span<const TxPiece> frame);
  void Collect();
  void Kick();

  UniqueFd socket_;
  XdpRing<uint64_t> fill_;
  XdpRing<uint64_t> completion_;
  XdpRing<xdp_desc> rx_;
  XdpRing<xdp_desc> tx_;

  uint32_t buffer_shift_ = 0;   // log2 of the buffers' size.
  uint32_t max_pieces_ = 1;     // Of a frame to send.
  uint64_t rx_base_ = 0;        // In UMEM; tx buffers are from 0.
  uint64_t tx_iova_ = 0;        // Of the lane's first tx buffer.
  std::vector<bool> rx_given_;  // By buffer: the kernel has it.
  size_t rx_given_count_ = 0;
  bool busy_poll_ = false;  // A call receives what waits at the interface.

  // Pieces in the order in which they were submitted: the kernel may finish
  // them in another one. Free-running positions.
  struct Sent {
    TxDone piece;
    bool done = false;
  };
  std::vector<Sent> sent_;
  std::vector<uint32_t> sent_at_;  // By tx buffer: its position, while sent.
  uint32_t sent_head_ = 0;
  uint32_t sent_tail_ = 0;
  uint64_t missed_ = 0;  // As the kernel counted when it was last asked.
};

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_AF_XDP_XDP_QUEUE_H_
