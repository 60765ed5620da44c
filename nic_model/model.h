// What every simulated NIC is: a PCI device to the vfio-user server, and a port
// to the network that it is plugged into.
#ifndef BULKHEAD_NIC_MODEL_MODEL_H_
#define BULKHEAD_NIC_MODEL_MODEL_H_

#include <array>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"
#include "nic_model/counters.h"
#include "nic_model/faults.h"
#include "nic_model/network/network.h"
#include "nic_model/vfio_user/device_ops.h"

namespace bulkhead::nic_model {

using Mac = std::array<uint8_t, 6>;

struct ModelOptions {
  Mac mac = {};         // A unicast address.
  uint64_t serial = 0;  // Device serial number; 0: made from the MAC.
  Faults faults;
  // A zeroed page for the doorbells (ModelSpec.doorbells_fd); none: every
  // doorbell is a message.
  UniqueFd doorbell_page;
};

// Threading: the loop's thread.
class Model : public vfio_user::DeviceOps, public Port {
 public:
  // `network` outlives the model's traffic. Called once, first.
  virtual void PlugIn(Network* network) = 0;
  // Grows with each frame moved: progress for the supervisor.
  virtual uint64_t work_done() const = 0;
};

// `loop` and `counters` outlive the model.
using MakeModel = absl::StatusOr<std::unique_ptr<Model>> (*)(
    EventLoop& loop, PortCounters& counters, ModelOptions options);

// As `Nic::Create` makes it.
template <typename Nic>
absl::StatusOr<std::unique_ptr<Model>> Make(EventLoop& loop,
                                            PortCounters& counters,
                                            ModelOptions options) {
  return Nic::Create(loop, counters, std::move(options));
}

}  // namespace bulkhead::nic_model

#endif  // BULKHEAD_NIC_MODEL_MODEL_H_
