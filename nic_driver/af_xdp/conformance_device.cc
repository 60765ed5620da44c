#include "nic_driver/af_xdp/af_xdp.h"
#include "nic_driver/conformance/device_under_test.h"
#include "nic_driver/conformance/interface_suite.h"
#include "nic_driver/conformance/testing/interface_bench.h"

namespace bulkhead::nic_driver {

const DeviceUnderTest& TheDevice() {
  static const DeviceUnderTest* const device = new DeviceUnderTest{
      .driver_program = "nic_driver/af_xdp/af_xdp",
      .make_device = testing::InterfaceBench::CreateXdp,
      .usable = testing::InterfaceBench::Usable,
      .max_tx_pieces = testing::InterfaceBench::MaxXdpPieces(),
      .least_buffer_bytes = 2048,
      .many_sessions = 200};
  return *device;
}

const InterfaceDriverUnderTest& TheInterfaceDriver() {
  static const InterfaceDriverUnderTest kDriver = {AfXdp::Create, true};
  return kDriver;
}

}  // namespace bulkhead::nic_driver
