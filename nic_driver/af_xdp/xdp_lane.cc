#include "nic_driver/af_xdp/xdp_lane.h"

#include <algorithm>
#include <utility>

namespace bulkhead::nic_driver {

void XdpLane::Add(std::unique_ptr<XdpQueue> queue) {
  queues_.push_back(std::move(queue));
  first_ = 0;
}

StopReport XdpLane::Close() {
  StopReport sum;
  for (const auto& queue : queues_) sum += queue->Report();
  queues_.clear();
  return sum;
}

uint64_t XdpLane::TakeMissed() {
  uint64_t missed = 0;
  for (const auto& queue : queues_) missed += queue->TakeMissed();
  return missed;
}

std::vector<int> XdpLane::wake_fds() const {
  std::vector<int> fds;
  for (const auto& queue : queues_) fds.push_back(queue->socket());
  return fds;
}

// --- Receive --------------------------------------------------------------

size_t XdpLane::RxGiven() const {
  size_t given = 0;
  for (const auto& queue : queues_) given += queue->RxGiven();
  return given;
}

size_t XdpLane::RxRoom() const {
  return queues_.empty() ? 0 : queues_.front()->RxBuffers() - RxGiven();
}

// Each queue is brought up to the same number of buffers: nobody knows which
// one will need them.
void XdpLane::RxRefill(std::span<const RxBuffer> buffers) {
  const size_t share =
      (RxGiven() + buffers.size() + queues_.size() - 1) / queues_.size();
  for (const auto& queue : queues_) {
    if (queue->RxGiven() >= share) continue;
    const size_t count = std::min(share - queue->RxGiven(), buffers.size());
    if (count == 0) return;
    queue->RxRefill(buffers.first(count));
    buffers = buffers.subspan(count);
  }
}

size_t XdpLane::RxHarvest(std::span<RxPiece> out) {
  if (queues_.empty()) return 0;
  size_t count = 0;
  for (size_t i = 0; i < queues_.size(); ++i) {
    XdpQueue& queue = *queues_[(first_ + i) % queues_.size()];
    count += queue.RxHarvest(out.subspan(count));
  }
  first_ = (first_ + 1) % queues_.size();
  return count;
}

// --- Transmit -------------------------------------------------------------

size_t XdpLane::TxRoom() const {
  return queues_.empty() ? 0 : queues_.front()->TxRoom();
}

void XdpLane::TxSubmit(std::span<const TxPiece> pieces) {
  queues_.front()->TxSubmit(pieces);
}

size_t XdpLane::TxReap(std::span<TxDone> out) {
  return queues_.empty() ? 0 : queues_.front()->TxReap(out);
}

}  // namespace bulkhead::nic_driver
