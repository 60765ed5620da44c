#include "nic_model/82576/device.h"
#include "nic_model/announced_test.h"

namespace bulkhead::nic_model {

ModelUnderTest TheModel() { return {"82576", Make<i82576::Intel82576>}; }

}  // namespace bulkhead::nic_model
