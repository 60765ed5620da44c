#include <utility>

#include "nic_model/run_model.h"
#include "nic_model/virtio_net/device.h"

int main() {
  using namespace bulkhead::nic_model;
  return RunModel(
      "virtio_net",
      [](bulkhead::EventLoop& loop, PortCounters& counters,
         ModelOptions options) -> absl::StatusOr<std::unique_ptr<Model>> {
        return virtio_net::VirtioNet::Create(loop, counters,
                                             std::move(options));
      });
}
