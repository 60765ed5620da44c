#include "nic_model/82574l/device.h"
#include "nic_model/run_model.h"

int main() {
  using namespace bulkhead::nic_model;
  return RunModel("82574l", Make<i82574::Intel82574>);
}
