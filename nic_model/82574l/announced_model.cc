#include "nic_model/82574l/device.h"
#include "nic_model/announced_test.h"

namespace bulkhead::nic_model {

ModelUnderTest TheModel() { return {"82574l", Make<i82574::Intel82574>}; }

}  // namespace bulkhead::nic_model
