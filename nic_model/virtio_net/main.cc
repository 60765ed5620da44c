#include "nic_model/run_model.h"
#include "nic_model/virtio_net/device.h"

int main() {
  using namespace bulkhead::nic_model;
  return RunModel("virtio_net", Make<virtio_net::VirtioNet>);
}
