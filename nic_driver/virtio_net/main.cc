#include "nic_driver/framework/driver_process.h"
#include "nic_driver/virtio_net/virtio_net.h"

int main() {
  return bulkhead::nic_driver::RunDriver<bulkhead::nic_driver::VirtioNet>();
}
