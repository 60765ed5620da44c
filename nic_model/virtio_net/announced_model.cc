#include "nic_model/announced_test.h"
#include "nic_model/virtio_net/device.h"

namespace bulkhead::nic_model {

ModelUnderTest TheModel() {
  return {"virtio_net", Make<virtio_net::VirtioNet>};
}

}  // namespace bulkhead::nic_model
