// A driver without a NIC, for tests of what is around drivers: what it is given
// it keeps until the test completes it.
#ifndef BULKHEAD_NIC_DRIVER_FRAMEWORK_FAKE_DRIVER_H_
#define BULKHEAD_NIC_DRIVER_FRAMEWORK_FAKE_DRIVER_H_

#include <algorithm>
#include <deque>
#include <span>

#include "nic_driver/framework/driver.h"

namespace bulkhead::nic_driver {

class FakeDriver final : public SingleQueueDriver {
 public:
  absl::Status Probe() override { return absl::OkStatus(); }
  Task<absl::StatusOr<NicFacts>> Attach() override { co_return NicFacts{}; }
  absl::Status Configure(const NicConfig&) override { return absl::OkStatus(); }
  Task<absl::StatusOr<LinkStatus>> Start(uint32_t, uint32_t) override {
    co_return LinkStatus{true, 1000, true};
  }
  Task<absl::StatusOr<StopReport>> Stop() override { co_return StopReport{}; }

  size_t RxRoom() const override { return rx_room; }
  void RxRefill(std::span<const RxBuffer> buffers) override {
    rx_room -= buffers.size();
    empty.insert(empty.end(), buffers.begin(), buffers.end());
  }
  size_t RxHarvest(std::span<RxPiece> out) override {
    return Take(filled, out);
  }
  size_t TxRoom() const override { return tx_room; }
  void TxSubmit(std::span<const TxPiece> pieces) override {
    submitted.insert(submitted.end(), pieces.begin(), pieces.end());
  }
  size_t TxReap(std::span<TxDone> out) override { return Take(done, out); }

  IrqResult HandleIrq(uint32_t) override { return {.traffic = true}; }
  void ArmIrqs() override {}
  LinkStatus Link() override { return {true, 1000, true}; }
  DeviceStatistics ReadStatistics() override { return {}; }
  Task<absl::Status> Detach() override { co_return absl::OkStatus(); }
  void Shutdown() override {}

  // The oldest empty buffer gets a piece of a frame.
  void Fill(uint16_t length, bool more = false,
            RxStatus status = RxStatus::kGood) {
    filled.push_back({.buffer = empty.front().buffer,
                      .length = length,
                      .more = more,
                      .status = status});
    empty.pop_front();
  }
  // All that was submitted is sent.
  void Complete(bool good = true) {
    for (const TxPiece& piece : submitted) {
      done.push_back({piece.buffer, piece.length, piece.more, good});
    }
    submitted.clear();
  }

  size_t rx_room = 1023;
  size_t tx_room = 511;
  std::deque<RxBuffer> empty;
  std::deque<RxPiece> filled;
  std::deque<TxPiece> submitted;
  std::deque<TxDone> done;

 private:
  template <typename T>
  static size_t Take(std::deque<T>& from, std::span<T> out) {
    const size_t count = std::min(from.size(), out.size());
    std::copy_n(from.begin(), count, out.begin());
    from.erase(from.begin(), from.begin() + static_cast<ptrdiff_t>(count));
    return count;
  }
};

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_FRAMEWORK_FAKE_DRIVER_H_
