// The monitor of the contract: a Driver in front of the driver, and a Queue in
// front of each of its queues, which tell contract.h of each call and return.
// One table look-up per batch.
#ifndef BULKHEAD_NIC_DRIVER_FRAMEWORK_CHECKED_DRIVER_H_
#define BULKHEAD_NIC_DRIVER_FRAMEWORK_CHECKED_DRIVER_H_

#include <deque>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "nic_driver/framework/contract.h"
#include "nic_driver/framework/driver.h"

namespace bulkhead::nic_driver {

// Its contract sees the driver's life as well: the life-cycle's calls come
// while no queue's thread runs.
class CheckedQueue final : public Queue {
 public:
  CheckedQueue(Queue& queue, const Contract& life)
      : queue_(queue), contract_(life) {}

  const Contract& contract() const { return contract_; }
  void Observe(Contract::Event event) { contract_.Observe(event); }

  size_t RxRoom() const override { return queue_.RxRoom(); }
  void RxRefill(std::span<const RxBuffer> buffers) override {
    contract_.RxGiven(buffers.size(), queue_.RxRoom());
    queue_.RxRefill(buffers);
  }
  size_t RxHarvest(std::span<RxPiece> out) override {
    const size_t count = queue_.RxHarvest(out);
    contract_.RxTaken(count, out.size());
    return count;
  }
  size_t TxRoom() const override { return queue_.TxRoom(); }
  void TxSubmit(std::span<const TxPiece> pieces) override {
    contract_.TxGiven(pieces.size(), queue_.TxRoom());
    queue_.TxSubmit(pieces);
  }
  size_t TxReap(std::span<TxDone> out) override {
    const size_t count = queue_.TxReap(out);
    contract_.TxTaken(count, out.size());
    return count;
  }
  IrqResult HandleIrq(uint32_t vector) override {
    contract_.Observe(Contract::Event::kIrq);
    return queue_.HandleIrq(vector);
  }
  void ArmIrqs() override {
    contract_.Observe(Contract::Event::kIrq);
    queue_.ArmIrqs();
  }
  std::vector<int> wake_fds() const override { return queue_.wake_fds(); }

 private:
  Queue& queue_;
  Contract contract_;
};

class CheckedDriver final : public Driver {
 public:
  explicit CheckedDriver(std::unique_ptr<Driver> driver)
      : driver_(std::move(driver)) {}

  // Of the control thread's calls; each queue has its own.
  const Contract& contract() const { return contract_; }

  absl::Status Probe() override {
    Observe(Event::kProbe);
    absl::Status status = driver_->Probe();
    Observe(status.ok() ? Event::kProbed : Event::kFailed);
    return status;
  }
  Task<absl::StatusOr<NicFacts>> Attach() override {
    Observe(Event::kAttach);
    auto result = co_await driver_->Attach();
    Observe(result.ok() ? Event::kAttached : Event::kFailed);
    if (result.ok()) {
      for (uint32_t i = 0; i < result->queues; ++i) {
        queues_.emplace_back(driver_->queue(i), contract_);
      }
    }
    co_return result;
  }
  absl::Status Configure(const NicConfig& config) override {
    Observe(Event::kConfigure);
    return driver_->Configure(config);
  }
  Task<absl::StatusOr<LinkStatus>> Start(uint32_t rx_buffer_bytes,
                                         uint32_t queues) override {
    Observe(Event::kStart);
    auto result = co_await driver_->Start(rx_buffer_bytes, queues);
    Observe(result.ok() ? Event::kStarted : Event::kFailed);
    co_return result;
  }
  Task<absl::StatusOr<StopReport>> Stop() override {
    Observe(Event::kStop);
    auto result = co_await driver_->Stop();
    Observe(result.ok() ? Event::kStopped : Event::kFailed);
    co_return result;
  }

  CheckedQueue& queue(uint32_t index) override { return queues_[index]; }
  uint32_t QueueOf(uint32_t vector) const override {
    return driver_->QueueOf(vector);
  }

  IrqResult HandleIrq(uint32_t vector) override {
    contract_.Observe(Event::kIrq);
    return driver_->HandleIrq(vector);
  }
  LinkStatus Link() override {
    contract_.Observe(Event::kIrq);
    return driver_->Link();
  }
  DeviceStatistics ReadStatistics() override {
    contract_.Observe(Event::kIrq);
    return driver_->ReadStatistics();
  }

  Task<absl::Status> Detach() override {
    Observe(Event::kDetach);
    absl::Status status = co_await driver_->Detach();
    Observe(status.ok() ? Event::kDetached : Event::kFailed);
    co_return status;
  }
  // The crash path does not stop the queues' threads: it is none of theirs.
  void Shutdown() override {
    contract_.Observe(Event::kShutdown);
    driver_->Shutdown();
  }

 private:
  using Event = Contract::Event;

  void Observe(Event event) {
    contract_.Observe(event);
    for (CheckedQueue& queue : queues_) queue.Observe(event);
  }

  std::unique_ptr<Driver> driver_;
  Contract contract_;
  std::deque<CheckedQueue> queues_;  // Never moved: others refer to them.
};

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_FRAMEWORK_CHECKED_DRIVER_H_
