#include <utility>

#include "nic_model/82576/device.h"
#include "nic_model/run_model.h"

int main() {
  using namespace bulkhead::nic_model;
  return RunModel(
      "82576",
      [](bulkhead::EventLoop& loop, PortCounters& counters,
         ModelOptions options) -> absl::StatusOr<std::unique_ptr<Model>> {
        return i82576::Intel82576::Create(loop, counters, std::move(options));
      });
}
