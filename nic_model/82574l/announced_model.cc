#include <utility>

#include "nic_model/82574l/device.h"
#include "nic_model/announced_test.h"

namespace bulkhead::nic_model {

ModelUnderTest TheModel() {
  return {"82574l",
          [](EventLoop& loop, PortCounters& counters,
             ModelOptions options) -> absl::StatusOr<std::unique_ptr<Model>> {
            return i82574::Intel82574::Create(loop, counters,
                                              std::move(options));
          }};
}

}  // namespace bulkhead::nic_model
