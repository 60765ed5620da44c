#include "nic_driver/af_packet/af_packet.h"
#include "nic_driver/conformance/device_under_test.h"
#include "nic_driver/conformance/interface_suite.h"
#include "nic_driver/conformance/testing/interface_bench.h"

namespace bulkhead::nic_driver {

const DeviceUnderTest& TheDevice() {
  static const DeviceUnderTest* const device =
      new DeviceUnderTest{.driver_program = "nic_driver/af_packet/af_packet",
                          .max_mtu = 9000,
                          .make_device = testing::InterfaceBench::CreatePacket,
                          .usable = testing::InterfaceBench::Usable,
                          .data_blind = false,
                          .many_sessions = 200};
  return *device;
}

const InterfaceDriverUnderTest& TheInterfaceDriver() {
  static const InterfaceDriverUnderTest kDriver = {AfPacket::Create, false};
  return kDriver;
}

}  // namespace bulkhead::nic_driver
