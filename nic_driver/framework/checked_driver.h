// The monitor of the contract: a Driver in front of the driver, which tells
// contract.h of each call and return. One table look-up per batch.
#ifndef BULKHEAD_NIC_DRIVER_FRAMEWORK_CHECKED_DRIVER_H_
#define BULKHEAD_NIC_DRIVER_FRAMEWORK_CHECKED_DRIVER_H_

#include <memory>
#include <span>
#include <utility>

#include "nic_driver/framework/contract.h"
#include "nic_driver/framework/driver.h"

namespace bulkhead::nic_driver {

class CheckedDriver final : public Driver {
 public:
  explicit CheckedDriver(std::unique_ptr<Driver> driver)
      : driver_(std::move(driver)) {}

  const Contract& contract() const { return contract_; }

  absl::Status Probe() override {
    contract_.Observe(Event::kProbe);
    absl::Status status = driver_->Probe();
    contract_.Observe(status.ok() ? Event::kProbed : Event::kFailed);
    return status;
  }
  Task<absl::StatusOr<NicFacts>> Attach() override {
    contract_.Observe(Event::kAttach);
    auto result = co_await driver_->Attach();
    contract_.Observe(result.ok() ? Event::kAttached : Event::kFailed);
    co_return result;
  }
  absl::Status Configure(const NicConfig& config) override {
    contract_.Observe(Event::kConfigure);
    return driver_->Configure(config);
  }
  Task<absl::StatusOr<LinkStatus>> Start(uint32_t rx_buffer_bytes) override {
    contract_.Observe(Event::kStart);
    auto result = co_await driver_->Start(rx_buffer_bytes);
    contract_.Observe(result.ok() ? Event::kStarted : Event::kFailed);
    co_return result;
  }
  Task<absl::StatusOr<StopReport>> Stop() override {
    contract_.Observe(Event::kStop);
    auto result = co_await driver_->Stop();
    contract_.Observe(result.ok() ? Event::kStopped : Event::kFailed);
    co_return result;
  }

  size_t RxRoom() const override { return driver_->RxRoom(); }
  void RxRefill(std::span<const RxBuffer> buffers) override {
    contract_.RxGiven(buffers.size(), driver_->RxRoom());
    driver_->RxRefill(buffers);
  }
  size_t RxHarvest(std::span<RxPiece> out) override {
    const size_t count = driver_->RxHarvest(out);
    contract_.RxTaken(count, out.size());
    return count;
  }
  size_t TxRoom() const override { return driver_->TxRoom(); }
  void TxSubmit(std::span<const TxPiece> pieces) override {
    contract_.TxGiven(pieces.size(), driver_->TxRoom());
    driver_->TxSubmit(pieces);
  }
  size_t TxReap(std::span<TxDone> out) override {
    const size_t count = driver_->TxReap(out);
    contract_.TxTaken(count, out.size());
    return count;
  }

  IrqResult HandleIrq(uint32_t vector) override {
    contract_.Observe(Event::kIrq);
    return driver_->HandleIrq(vector);
  }
  void ArmIrqs() override {
    contract_.Observe(Event::kIrq);
    driver_->ArmIrqs();
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
    contract_.Observe(Event::kDetach);
    absl::Status status = co_await driver_->Detach();
    contract_.Observe(status.ok() ? Event::kDetached : Event::kFailed);
    co_return status;
  }
  void Shutdown() override {
    contract_.Observe(Event::kShutdown);
    driver_->Shutdown();
  }

 private:
  using Event = Contract::Event;

  std::unique_ptr<Driver> driver_;
  Contract contract_;
};

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_FRAMEWORK_CHECKED_DRIVER_H_
