#include "nic_driver/af_xdp/af_xdp.h"
#include "nic_driver/conformance/interface_suite.h"

namespace bulkhead::nic_driver {

const InterfaceDriverUnderTest& TheInterfaceDriver() {
  static const InterfaceDriverUnderTest kDriver = {AfXdp::Create, true};
  return kDriver;
}

}  // namespace bulkhead::nic_driver
