#include "nic_driver/af_xdp/af_xdp.h"

#include <algorithm>
#include <utility>

namespace bulkhead::nic_driver {

absl::Status AfXdp::Probe() {
  if (interface_ != nullptr) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "af_xdp drives Linux interfaces; this is a PCI device");
}

// A lane without a queue of its own would never receive.
Task<absl::StatusOr<NicFacts>> AfXdp::Attach() {
  NicFacts facts;
  facts.mac = interface_->mac();
  facts.max_mtu = interface_->state().mtu;
  facts.queues = std::clamp(interface_->state().queues, 1u, most_lanes_);
  lanes_.resize(facts.queues);
  co_return facts;
}

// Socket i is of the interface's queue i. A session of more lanes than there
// are is refused later.
Task<absl::StatusOr<LinkStatus>> AfXdp::Start(uint32_t, uint32_t) {
  uint32_t index = 0;
  for (SessionSocket& socket : interface_->TakeSockets()) {
    const uint32_t lane = index++ % socket.geometry.lanes;
    if (lane >= lanes_.size()) continue;
    absl::StatusOr<std::unique_ptr<XdpQueue>> queue =
        XdpQueue::Create(std::move(socket), lane);
    if (!queue.ok()) co_return queue.status();
    lanes_[lane].Add(*std::move(queue));
  }
  co_return interface_->state().link;
}

// The sockets are this process's alone: with them, the kernel lets go of UMEM.
Task<absl::StatusOr<StopReport>> AfXdp::Stop() {
  StopReport sum;
  for (XdpLane& lane : lanes_) sum += lane.Close();
  co_return sum;
}

DeviceStatistics AfXdp::ReadStatistics() {
  DeviceStatistics statistics;
  for (XdpLane& lane : lanes_) statistics.rx_missed += lane.TakeMissed();
  return statistics;
}

Task<absl::Status> AfXdp::Detach() {
  for (XdpLane& lane : lanes_) lane.Close();
  co_return absl::OkStatus();
}

}  // namespace bulkhead::nic_driver
