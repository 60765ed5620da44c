#include "nic_driver/igb/shared_phy.h"

#include "base/clock.h"
#include "nic_driver/framework/task_status.h"
#include "nic_driver/igb/igb_regs.h"

namespace bulkhead::nic_driver::igb {

Task<absl::Status> SharedPhy::Negotiate(uint32_t port) {
  const uint64_t deadline_ns = MonotonicNs() + intel::Phy::kDeadlineNs;
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
    co_await loop_.Sleep(intel::Phy::kPoll);
  }
  const absl::Status status = co_await phy_.Negotiate();
  CO_RETURN_IF_ERROR(co_await Lock(MonotonicNs() + intel::Phy::kDeadlineNs));
  const Value<SW_FW_SYNC> sync = regs_.Read<SW_FW_SYNC>();
  regs_.Write(
      sync.With(SW_FW_SYNC::SW_PHY_SM, sync[SW_FW_SYNC::SW_PHY_SM] & ~ours));
  Unlock();
  co_return status;
}

Task<absl::Status> SharedPhy::Lock(uint64_t deadline_ns) {
  while (regs_.Read<SWSM>()[SWSM::SMBI] != 0) {
    if (MonotonicNs() > deadline_ns) {
      co_return absl::DeadlineExceededError(
          "use the PHY: another driver holds SWSM.SMBI for 50 ms");
    }
    co_await loop_.Sleep(intel::Phy::kPoll);
  }
  for (;;) {
    regs_.Write(SWSM::SMBI(1) | SWSM::SWESMBI(1));
    if (regs_.Read<SWSM>()[SWSM::SWESMBI] != 0) co_return absl::OkStatus();
    if (MonotonicNs() > deadline_ns) {
      Unlock();
      co_return absl::DeadlineExceededError(
          "use the PHY: the firmware holds SWSM.SWESMBI for 50 ms");
    }
    co_await loop_.Sleep(intel::Phy::kPoll);
  }
}

void SharedPhy::Unlock() { regs_.Write(Value<SWSM>()); }

}  // namespace bulkhead::nic_driver::igb
