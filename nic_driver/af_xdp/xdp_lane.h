// One lane of a session on an interface: the sockets whose frames come to it.
//
// A socket receives from one queue of the interface and from no other, and the
// interface spreads flows over its queues whatever the session is like. So each
// of its queues has a socket, also when there are fewer lanes: queue i serves
// lane i modulo lanes. A flow stays on one queue, and so on one lane. What a
// lane sends leaves by the first of its queues.
#ifndef BULKHEAD_NIC_DRIVER_AF_XDP_XDP_LANE_H_
#define BULKHEAD_NIC_DRIVER_AF_XDP_XDP_LANE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "nic_driver/af_xdp/xdp_queue.h"
#include "nic_driver/framework/driver.h"

namespace bulkhead::nic_driver {

// Without a session it has no queues, takes no frames and brings none.
// Threading: the verbs are the queue's thread's, the rest is the control
// thread's (driver.h).
class XdpLane final : public Queue {
 public:
  void Add(std::unique_ptr<XdpQueue> queue);
  // Closes the sockets, and with them the kernel's way to the session. Says
  // what was left in their rings.
  StopReport Close();
  // Beside the verbs: asks the kernel, and touches nothing of theirs.
  uint64_t TakeMissed();

  size_t RxRoom() const override;
  void RxRefill(std::span<const RxBuffer> buffers) override;
  [[nodiscard]] size_t RxHarvest(std::span<RxPiece> out) override;
  size_t TxRoom() const override;
  void TxSubmit(std::span<const TxPiece> pieces) override;
  [[nodiscard]] size_t TxReap(std::span<TxDone> out) override;

  IrqResult HandleIrq(uint32_t) override { return {}; }
  void ArmIrqs() override {}
  std::vector<int> wake_fds() const override;

 private:
  size_t RxGiven() const;

  std::vector<std::unique_ptr<XdpQueue>> queues_;
  size_t first_ = 0;  // To be harvested next: in turn, so that none waits.
};

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_AF_XDP_XDP_LANE_H_
