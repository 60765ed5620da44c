// What an instance counted over all of its generations.
#ifndef BULKHEAD_PLATFORM_SERVICE_INSTANCES_COUNTER_TOTALS_H_
#define BULKHEAD_PLATFORM_SERVICE_INSTANCES_COUNTER_TOTALS_H_

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/shared_memory.h"
#include "base/unique_fd.h"
#include "nic_driver/framework/counters.h"

namespace bulkhead::platform {

// A page that the running generation writes, with a block for each queue, and
// the sum over the dead ones.
//
// Requires: Fold is called when no generation runs.
// Threading: the loop's thread.
class CounterTotals {
 public:
  static constexpr size_t kCounters = 20;

  static absl::StatusOr<CounterTotals> Create();
  // The page and sums of an earlier platform service.
  static absl::StatusOr<CounterTotals> Restore(
      UniqueFd page, const std::vector<uint64_t>& totals);

  // Adds the page to the sums and clears it for the next generation.
  void Fold();

  // In the order of DriverCounters.
  std::vector<std::pair<absl::string_view, uint64_t>> Read() const;
  const std::array<uint64_t, kCounters>& totals() const { return totals_; }
  int page() const { return page_.get(); }

 private:
  nic_driver::DriverCounters* block(size_t queue) const {
    return view_.As<nic_driver::DriverCounters>(queue *
                                                nic_driver::kCounterBlockBytes);
  }

  UniqueFd page_;
  Mapping view_;
  std::array<uint64_t, kCounters> totals_ = {};
};

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_INSTANCES_COUNTER_TOTALS_H_
