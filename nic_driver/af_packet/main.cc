#include "nic_driver/af_packet/af_packet.h"
#include "nic_driver/framework/driver_process.h"

int main() {
  return bulkhead::nic_driver::RunDriver<bulkhead::nic_driver::AfPacket>();
}
