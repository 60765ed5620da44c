// The multicast hash table of Intel's 1 Gb/s NICs: 128 registers of 32 bits.
#ifndef BULKHEAD_NIC_DRIVER_INTEL_MULTICAST_TABLE_H_
#define BULKHEAD_NIC_DRIVER_INTEL_MULTICAST_TABLE_H_

#include <array>
#include <chrono>
#include <cstdint>
#include <span>

#include "base/event_loop.h"
#include "nic_driver/framework/driver.h"
#include "nic_driver/framework/registers.h"

namespace bulkhead::nic_driver::intel {

// MTA is the register array, STATUS any register whose read does nothing.
//
// Requires: RCTL.MO is 0; `loop` and `regs` outlive it.
template <typename MTA, typename STATUS>
class MulticastTable {
 public:
  MulticastTable(EventLoop& loop, Registers& regs) : loop_(loop), regs_(regs) {}
  ~MulticastTable() { CancelClear(); }
  MulticastTable(const MulticastTable&) = delete;
  MulticastTable& operator=(const MulticastTable&) = delete;

  // Writes only what differs.
  void Set(std::span<const MacAddress> addresses) {
    std::array<uint32_t, MTA::kCount> wanted = {};
    for (const MacAddress& mac : addresses) {
      // Bits 47–36 of the address.
      const uint32_t hash = (mac[4] >> 4) | (uint32_t{mac[5]} << 4);
      wanted[hash >> 5] |= uint32_t{1} << (hash & 31);
    }
    for (uint32_t i = 0; i < wanted.size(); ++i) {
      if (wanted[i] == table_[i]) continue;
      table_[i] = wanted[i];
      regs_.Write(Value<MTA>(wanted[i]), i);
    }
  }

  // After a reset.
  void Restore() {
    for (uint32_t i = 0; i < table_.size(); ++i) {
      if (table_[i] != 0) regs_.Write(Value<MTA>(table_[i]), i);
    }
  }

  // A reset does not clear the table, so that another owner's bits may be in
  // it. They only let a few foreign multicast frames through, as any hash does;
  // so 128 writes can wait until frames flow. Once is enough: later bits are
  // ours.
  void ClearLater() {
    if (cleared_) return;
    cleared_ = true;
    timer_ = loop_.After(kAfterStart, [this] {
      timer_ = 0;
      // All in one message where the bus has messages; the read sends them.
      regs_.HoldWrites();
      for (uint32_t i = 0; i < table_.size(); ++i) {
        if (table_[i] == 0) regs_.Write(Value<MTA>(), i);
      }
      (void)regs_.Read<STATUS>();
    });
  }
  void CancelClear() { loop_.Cancel(timer_); }

 private:
  static constexpr std::chrono::milliseconds kAfterStart{5};

  EventLoop& loop_;
  Registers& regs_;
  std::array<uint32_t, MTA::kCount> table_ = {};
  bool cleared_ = false;
  EventLoop::TimerId timer_ = 0;
};

}  // namespace bulkhead::nic_driver::intel

#endif  // BULKHEAD_NIC_DRIVER_INTEL_MULTICAST_TABLE_H_
