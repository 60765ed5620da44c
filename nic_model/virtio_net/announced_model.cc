#include <utility>

#include "nic_model/announced_test.h"
#include "nic_model/virtio_net/device.h"

namespace bulkhead::nic_model {

ModelUnderTest TheModel() {
  return {"virtio_net",
          [](EventLoop& loop, PortCounters& counters,
             ModelOptions options) -> absl::StatusOr<std::unique_ptr<Model>> {
            return virtio_net::VirtioNet::Create(loop, counters,
                                                 std::move(options));
          }};
}

}  // namespace bulkhead::nic_model
