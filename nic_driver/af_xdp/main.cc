#include "nic_driver/af_xdp/af_xdp.h"
#include "nic_driver/framework/driver_process.h"

int main() {
  return bulkhead::nic_driver::RunDriver<bulkhead::nic_driver::AfXdp>();
}
