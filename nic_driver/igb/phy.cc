#include "nic_driver/igb/phy.h"

#include <chrono>

#include "base/clock.h"
#include "nic_driver/framework/task_status.h"
#include "nic_driver/igb/igb_regs.h"

namespace bulkhead::nic_driver::igb {
namespace {

// An access takes 64 bits of 2.5 MHz, 26 µs; the firmware may hold its
// semaphore for longer.
constexpr uint64_t kDeadlineNs = 50'000'000;
constexpr std::chrono::milliseconds kPoll{1};
constexpr uint32_t kWrite = 1;  // MDIC.OP.
constexpr uint32_t kRead = 2;

}  // namespace

Task<absl::Status> Phy::Negotiate(uint32_t port) {
  const uint64_t deadline_ns = MonotonicNs() + kDeadlineNs;
  const uint32_t ours = uint32_t{1} << (port & 1);
  for (;;) {
    CO_RETURN_IF_ERROR(co_await Lock(deadline_ns));
    const Value<SW_FW_SYNC> sync = regs_.Read<SW_FW_SYNC>();
    const uint32_t taken =
        sync[SW_FW_SYNC::SW_PHY_SM] | sync[SW_FW_SYNC::FW_PHY_SM];
    if ((taken & ours) == 0) {
      regs_.Write(sync | SW_FW_SYNC::SW_PHY_SM(ours));
      Unlock();
      break;
    }
    Unlock();
    if (MonotonicNs() > deadline_ns) {
      co_return absl::DeadlineExceededError(
          "use the PHY: its semaphore is taken for 50 ms");
    }
    co_await loop_.Sleep(kPoll);
  }
  const absl::Status status = co_await NegotiateAlone();
  CO_RETURN_IF_ERROR(co_await Lock(MonotonicNs() + kDeadlineNs));
  const Value<SW_FW_SYNC> sync = regs_.Read<SW_FW_SYNC>();
  regs_.Write(
      sync.With(SW_FW_SYNC::SW_PHY_SM, sync[SW_FW_SYNC::SW_PHY_SM] & ~ours));
  Unlock();
  co_return status;
}

Task<absl::Status> Phy::NegotiateAlone() {
  absl::StatusOr<uint16_t> status = co_await Read(phy::kStatus);
  if (!status.ok()) co_return status.status();
  if ((*status & phy::kNegotiated) != 0) co_return absl::OkStatus();
  absl::StatusOr<uint16_t> control = co_await Read(phy::kControl);
  if (!control.ok()) co_return control.status();
  co_return co_await Write(
      phy::kControl,
      static_cast<uint16_t>((*control & ~phy::kPowerDown) | phy::kNegotiate |
                            phy::kRestartNegotiation));
}

Task<absl::StatusOr<uint16_t>> Phy::Read(uint32_t number) {
  return Access((MDIC::OP(kRead) | MDIC::REGADD(number)).bits());
}

Task<absl::Status> Phy::Write(uint32_t number, uint16_t value) {
  const absl::StatusOr<uint16_t> done = co_await Access(
      (MDIC::OP(kWrite) | MDIC::REGADD(number) | MDIC::DATA(value)).bits());
  co_return done.status();
}

Task<absl::StatusOr<uint16_t>> Phy::Access(uint32_t command) {
  const uint64_t deadline_ns = MonotonicNs() + kDeadlineNs;
  regs_.Write(Value<MDIC>(command) | MDIC::PHYADD(phy::kAddress));
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

Task<absl::Status> Phy::Lock(uint64_t deadline_ns) {
  while (regs_.Read<SWSM>()[SWSM::SMBI] != 0) {
    if (MonotonicNs() > deadline_ns) {
      co_return absl::DeadlineExceededError(
          "use the PHY: another driver holds SWSM.SMBI for 50 ms");
    }
    co_await loop_.Sleep(kPoll);
  }
  for (;;) {
    regs_.Write(SWSM::SMBI(1) | SWSM::SWESMBI(1));
    if (regs_.Read<SWSM>()[SWSM::SWESMBI] != 0) co_return absl::OkStatus();
    if (MonotonicNs() > deadline_ns) {
      Unlock();
      co_return absl::DeadlineExceededError(
          "use the PHY: the firmware holds SWSM.SWESMBI for 50 ms");
    }
    co_await loop_.Sleep(kPoll);
  }
}

void Phy::Unlock() { regs_.Write(Value<SWSM>()); }

}  // namespace bulkhead::nic_driver::igb
