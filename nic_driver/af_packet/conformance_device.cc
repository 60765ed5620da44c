#include "nic_driver/af_packet/af_packet.h"
#include "nic_driver/conformance/interface_suite.h"

namespace bulkhead::nic_driver {

const InterfaceDriverUnderTest& TheInterfaceDriver() {
  static const InterfaceDriverUnderTest kDriver = {AfPacket::Create, false};
  return kDriver;
}

}  // namespace bulkhead::nic_driver
