#include "platform_service/instances/counter_totals.h"

#include <algorithm>
#include <cstring>

#include "base/errno_status.h"

namespace bulkhead::platform {
namespace {

using nic_driver::DriverCounters;

struct Named {
  absl::string_view name;
  std::atomic<uint64_t> DriverCounters::*counter;
};

constexpr Named kNamed[] = {
    {"rx_packets", &DriverCounters::rx_packets},
    {"rx_bytes", &DriverCounters::rx_bytes},
    {"tx_packets", &DriverCounters::tx_packets},
    {"tx_bytes", &DriverCounters::tx_bytes},
    {"rx_missed_errors", &DriverCounters::rx_missed_errors},
    {"rx_crc_errors", &DriverCounters::rx_crc_errors},
    {"rx_frame_errors", &DriverCounters::rx_frame_errors},
    {"rx_length_errors", &DriverCounters::rx_length_errors},
    {"rx_errors", &DriverCounters::rx_errors},
    {"rx_too_long", &DriverCounters::rx_too_long},
    {"rx_no_session", &DriverCounters::rx_no_session},
    {"tx_dropped_invalid", &DriverCounters::tx_dropped_invalid},
    {"tx_dropped_link", &DriverCounters::tx_dropped_link},
    {"tx_device_errors", &DriverCounters::tx_device_errors},
    {"multicast", &DriverCounters::multicast},
    {"collisions", &DriverCounters::collisions},
    {"rx_pause_frames", &DriverCounters::rx_pause_frames},
    {"tx_pause_frames", &DriverCounters::tx_pause_frames},
    {"interrupts", &DriverCounters::interrupts},
    {"wakeups", &DriverCounters::wakeups},
};
static_assert(std::size(kNamed) == CounterTotals::kCounters);
static_assert(sizeof(DriverCounters) ==
              CounterTotals::kCounters * sizeof(uint64_t));

}  // namespace

absl::StatusOr<CounterTotals> CounterTotals::Create() {
  ASSIGN_OR_RETURN(UniqueFd page,
                   CreateSealedMemory("driver-counters", kPageBytes));
  return Restore(std::move(page), {});
}

absl::StatusOr<CounterTotals> CounterTotals::Restore(
    UniqueFd page, const std::vector<uint64_t>& totals) {
  CounterTotals counters;
  ASSIGN_OR_RETURN(counters.view_, Mapping::MapSealed(page.get(), kPageBytes,
                                                      Access::kReadWrite));
  counters.page_ = std::move(page);
  for (size_t i = 0; i < std::min(totals.size(), kCounters); ++i) {
    counters.totals_[i] = totals[i];
  }
  return counters;
}

void CounterTotals::Fold() {
  for (size_t queue = 0; queue < nic_driver::kMaxCounterBlocks; ++queue) {
    for (size_t i = 0; i < kCounters; ++i) {
      totals_[i] += (block(queue)->*kNamed[i].counter).exchange(0);
    }
  }
  // Whatever else the dead driver left in its page.
  std::memset(view_.data(), 0, view_.bytes());
}

std::vector<std::pair<absl::string_view, uint64_t>> CounterTotals::Read()
    const {
  std::vector<std::pair<absl::string_view, uint64_t>> values;
  for (size_t i = 0; i < kCounters; ++i) {
    uint64_t sum = totals_[i];
    for (size_t queue = 0; queue < nic_driver::kMaxCounterBlocks; ++queue) {
      sum += (block(queue)->*kNamed[i].counter).load(std::memory_order_relaxed);
    }
    values.emplace_back(kNamed[i].name, sum);
  }
  return values;
}

}  // namespace bulkhead::platform
