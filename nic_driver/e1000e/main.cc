#include "nic_driver/e1000e/e1000e.h"
#include "nic_driver/framework/driver_process.h"

int main() {
  return bulkhead::nic_driver::RunDriver<bulkhead::nic_driver::E1000e>();
}
