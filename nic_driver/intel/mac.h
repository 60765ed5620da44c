// What the MACs of Intel's 1 Gb/s NICs say in registers of the same layout. The
// register types are the driver's.
#ifndef BULKHEAD_NIC_DRIVER_INTEL_MAC_H_
#define BULKHEAD_NIC_DRIVER_INTEL_MAC_H_

#include <chrono>
#include <cstdint>
#include <tuple>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/event_loop.h"
#include "base/log.h"
#include "base/task.h"
#include "nic_driver/framework/driver.h"
#include "nic_driver/framework/registers.h"

namespace bulkhead::nic_driver::intel {

template <typename STATUS>
LinkStatus LinkOf(Value<STATUS> status) {
  static constexpr uint32_t kMbps[] = {10, 100, 1000, 1000};
  if (ReadsAsGone(status)) return {};
  return {.up = status[STATUS::LU] != 0,
          .speed_mbps = kMbps[status[STATUS::SPEED]],
          .full_duplex = status[STATUS::FD] != 0};
}

template <typename RAL, typename RAH>
MacAddress MacOf(Value<RAL> low, Value<RAH> high) {
  MacAddress mac;
  for (int i = 0; i < 4; ++i) {
    mac[i] = static_cast<uint8_t>(low.bits() >> (8 * i));
  }
  mac[4] = static_cast<uint8_t>(high[RAH::ADDRESS]);
  mac[5] = static_cast<uint8_t>(high[RAH::ADDRESS] >> 8);
  return mac;
}

// After a reset. The address valid bit also tells that the NVM's auto-load is
// done, which saves the read of EEC.Auto_RD.
//
// Requires, as below: `loop` and `regs` outlive the task.
template <typename RAL, typename RAH>
Task<absl::StatusOr<MacAddress>> ReadMac(EventLoop& loop, Registers& regs) {
  constexpr uint64_t kDeadlineNs = 50'000'000;
  const uint64_t deadline_ns = MonotonicNs() + kDeadlineNs;
  auto [low, high] = regs.ReadPair<RAL, RAH>();
  while (high[RAH::AV] == 0) {
    if (MonotonicNs() > deadline_ns) {
      co_return absl::DeadlineExceededError(
          "read the MAC address: RAH0.AV is still clear 50 ms after the reset; "
          "the NIC's NVM may be blank");
    }
    co_await loop.Sleep(std::chrono::milliseconds(1));
    std::tie(low, high) = regs.ReadPair<RAL, RAH>();
  }
  if (ReadsAsGone(high)) co_return GoneError();
  co_return MacOf(low, high);
}

// After CTRL.GIO_MASTER_DISABLE the device starts no new request, and
// STATUS.GIO_MASTER_ENABLE clears when none is pending: within PCIe's
// completion timeout of 50 ms. Should one stay pending, the reset that follows
// ends it.
template <typename STATUS>
Task<absl::Status> AwaitBusMasterOff(EventLoop& loop, Registers& regs) {
  constexpr uint64_t kDeadlineNs = 80'000'000;
  const uint64_t deadline_ns = MonotonicNs() + kDeadlineNs;
  Value<STATUS> status = regs.Read<STATUS>();
  while (status[STATUS::GIO_MASTER_ENABLE] != 0) {
    if (ReadsAsGone(status)) co_return GoneError();
    if (MonotonicNs() > deadline_ns) {
      LogWarning("stop the NIC: bus requests are pending after 80 ms");
      break;
    }
    co_await loop.Sleep(std::chrono::milliseconds(1));
    status = regs.Read<STATUS>();
  }
  co_return absl::OkStatus();
}

}  // namespace bulkhead::nic_driver::intel

#endif  // BULKHEAD_NIC_DRIVER_INTEL_MAC_H_
