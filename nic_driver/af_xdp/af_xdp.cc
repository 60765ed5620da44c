#include "nic_driver/af_xdp/af_xdp.h"

#include <utility>

namespace bulkhead::nic_driver {

absl::Status AfXdp::Probe() {
  if (interface_ != nullptr) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "af_xdp drives Linux interfaces; this is a PCI device");
}

Task<absl::StatusOr<NicFacts>> AfXdp::Attach() {
  NicFacts facts;
  facts.mac = interface_->mac();
  facts.max_mtu = interface_->state().mtu;
  co_return facts;
}

Task<absl::StatusOr<LinkStatus>> AfXdp::Start(uint32_t, uint32_t) {
  if (std::optional<SessionSocket> socket = interface_->TakeSocket()) {
    absl::StatusOr<std::unique_ptr<XdpQueue>> queue =
        XdpQueue::Create(*std::move(socket));
    if (!queue.ok()) co_return queue.status();
    queue_ = *std::move(queue);
  }
  co_return interface_->state().link;
}

// The socket is this process's alone: with it, the kernel lets go of UMEM.
Task<absl::StatusOr<StopReport>> AfXdp::Stop() {
  StopReport report;
  if (queue_ != nullptr) report = queue_->Report();
  queue_.reset();
  co_return report;
}

DeviceStatistics AfXdp::ReadStatistics() {
  return {queue_ ? queue_->TakeMissed() : 0};
}

Task<absl::Status> AfXdp::Detach() {
  queue_.reset();
  co_return absl::OkStatus();
}

}  // namespace bulkhead::nic_driver
