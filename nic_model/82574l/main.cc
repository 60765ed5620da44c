#include <utility>

#include "nic_model/82574l/device.h"
#include "nic_model/run_model.h"

int main() {
  using namespace bulkhead::nic_model;
  return RunModel(
      "82574l",
      [](bulkhead::EventLoop& loop, PortCounters& counters,
         ModelOptions options) -> absl::StatusOr<std::unique_ptr<Model>> {
        return i82574::Intel82574::Create(loop, counters, std::move(options));
      });
}
