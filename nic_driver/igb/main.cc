#include "nic_driver/framework/driver_process.h"
#include "nic_driver/igb/igb.h"

int main() {
  return bulkhead::nic_driver::RunDriver<bulkhead::nic_driver::Igb>();
}
