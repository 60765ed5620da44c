// The PHY behind MDIC: 10.2.2.7 of the 82574's datasheet, 8.2.4 of the
// 82576's. Who else uses the wires, and how to take turns with them, is
// different in each NIC.
#ifndef BULKHEAD_NIC_DRIVER_INTEL_PHY_H_
#define BULKHEAD_NIC_DRIVER_INTEL_PHY_H_

#include <chrono>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/event_loop.h"
#include "base/task.h"
#include "nic_driver/framework/registers.h"
#include "nic_driver/framework/task_status.h"

namespace bulkhead::nic_driver::intel {

// MDI Control: one access at a time.
struct MDIC : Register<0x00020, ReadWrite> {
  static constexpr Field<MDIC, 0, 16> DATA{};
  static constexpr Field<MDIC, 16, 5> REGADD{};
  static constexpr Field<MDIC, 21, 5> PHYADD{};  // 1: the internal PHY.
  static constexpr Field<MDIC, 26, 2> OP{};      // 1: write, 2: read.
  static constexpr Bit<MDIC, 28> R{};            // Ready: the access is over.
  static constexpr Bit<MDIC, 30> E{};            // Error.
};

// IEEE 802.3, 22.2.4.1 and 22.2.4.2.
namespace phy {
constexpr uint32_t kAddress = 1;
constexpr uint32_t kControl = 0;
constexpr uint16_t kRestartNegotiation = 1u << 9;
constexpr uint16_t kPowerDown = 1u << 11;
constexpr uint16_t kNegotiate = 1u << 12;
constexpr uint32_t kStatus = 1;
constexpr uint16_t kNegotiated = 1u << 5;
}  // namespace phy

// Requires: nobody else uses MDIC meanwhile.
// Threading: the loop's thread. Both outlive it.
class Phy {
 public:
  // An access takes 64 bits of 2.5 MHz, 26 µs; the firmware may hold its
  // semaphore for longer.
  static constexpr uint64_t kDeadlineNs = 50'000'000;
  static constexpr std::chrono::milliseconds kPoll{1};

  Phy(EventLoop& loop, const Registers& regs) : loop_(loop), regs_(regs) {}

  // Makes it negotiate, unless it is done with that; one that was powered down,
  // as Linux does when an interface goes down, is powered up. Ends when
  // negotiation has begun, not when it is over.
  Task<absl::Status> Negotiate() {
    CO_ASSIGN_OR_RETURN(const uint16_t status, co_await Read(phy::kStatus));
    if ((status & phy::kNegotiated) != 0) co_return absl::OkStatus();
    CO_ASSIGN_OR_RETURN(const uint16_t control, co_await Read(phy::kControl));
    const uint32_t wanted = (control & ~uint32_t{phy::kPowerDown}) |
                            phy::kNegotiate | phy::kRestartNegotiation;
    const absl::StatusOr<uint16_t> written = co_await Access(
        MDIC::OP(1) | MDIC::REGADD(phy::kControl) | MDIC::DATA(wanted));
    co_return written.status();
  }

 private:
  Task<absl::StatusOr<uint16_t>> Read(uint32_t number) {
    return Access(MDIC::OP(2) | MDIC::REGADD(number));
  }

  Task<absl::StatusOr<uint16_t>> Access(Value<MDIC> command) {
    const uint64_t deadline_ns = MonotonicNs() + kDeadlineNs;
    regs_.Write(command | MDIC::PHYADD(phy::kAddress));
    Value<MDIC> mdic = regs_.Read<MDIC>();
    while (mdic[MDIC::R] == 0) {
      if (MonotonicNs() > deadline_ns) {
        co_return absl::DeadlineExceededError(
            "use the PHY: MDIC is not ready after 50 ms");
      }
      co_await loop_.Sleep(kPoll);
      mdic = regs_.Read<MDIC>();
    }
    if (mdic[MDIC::E] != 0) {
      co_return absl::UnavailableError("use the PHY: it does not answer");
    }
    co_return static_cast<uint16_t>(mdic[MDIC::DATA]);
  }

  EventLoop& loop_;
  const Registers& regs_;
};

}  // namespace bulkhead::nic_driver::intel

#endif  // BULKHEAD_NIC_DRIVER_INTEL_PHY_H_
