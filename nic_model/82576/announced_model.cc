#include <utility>

#include "nic_model/82576/device.h"
#include "nic_model/announced_test.h"

namespace bulkhead::nic_model {

ModelUnderTest TheModel() {
  return {"82576",
          [](EventLoop& loop, PortCounters& counters,
             ModelOptions options) -> absl::StatusOr<std::unique_ptr<Model>> {
            return i82576::Intel82576::Create(loop, counters,
                                              std::move(options));
          }};
}

}  // namespace bulkhead::nic_model
