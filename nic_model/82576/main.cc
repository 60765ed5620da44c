#include "nic_model/82576/device.h"
#include "nic_model/run_model.h"

int main() {
  using namespace bulkhead::nic_model;
  return RunModel("82576", Make<i82576::Intel82576>);
}
