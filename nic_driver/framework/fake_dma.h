// Ring memory without a platform service, for tests of drivers.
#ifndef BULKHEAD_NIC_DRIVER_FRAMEWORK_FAKE_DMA_H_
#define BULKHEAD_NIC_DRIVER_FRAMEWORK_FAKE_DMA_H_

#include <cstdint>
#include <map>
#include <utility>

#include "nic_driver/framework/driver.h"

namespace bulkhead::nic_driver {

// Answers at once. Keeps its own mapping of what it gave, so that a test can
// play the device.
class FakeDma final : public DmaPlatform {
 public:
  static constexpr uint64_t kFirstIova = 0x1'0000'0000;

  Task<absl::StatusOr<DmaMemory>> AllocDma(size_t bytes) override {
    if (refuse) co_return absl::ResourceExhaustedError("refused by the test");
    auto memory = CreateSealedMemory("rings", bytes);
    if (!memory.ok()) co_return memory.status();
    auto theirs = Mapping::MapSealed(memory->get(), bytes, Access::kReadWrite);
    auto ours = Mapping::MapSealed(memory->get(), bytes, Access::kReadWrite);
    if (!theirs.ok()) co_return theirs.status();
    if (!ours.ok()) co_return ours.status();
    const uint64_t iova = next_iova_;
    next_iova_ += bytes;
    areas[iova] = *std::move(ours);
    co_return DmaMemory(*std::move(theirs), iova);
  }
  void FreeDma(DmaMemory memory) override { areas.erase(memory.iova()); }
  void RequestDma() override { requested = true; }
  Task<absl::Status> DmaEnabled() override {
    enabled = requested;
    co_return requested ? absl::OkStatus()
                        : absl::FailedPreconditionError("not requested");
  }

  bool refuse = false;
  bool requested = false;
  bool enabled = false;
  std::map<uint64_t, Mapping> areas;

 private:
  uint64_t next_iova_ = kFirstIova;
};

// Runs a coroutine to its end on `loop`.
template <typename T>
T RunToEnd(EventLoop& loop, Task<T> task) {
  std::optional<T> result;
  task.Start([&result](T value) { result = std::move(value); });
  while (!result.has_value()) loop.RunOnce(100);
  return *std::move(result);
}

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_FRAMEWORK_FAKE_DMA_H_
