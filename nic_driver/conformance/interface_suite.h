// What a driver of Linux interfaces must do beside what every driver must
// (conformance_suite.h), called in the test's own process, on a veth pair whose
// other end is the test's. A driver defines TheInterfaceDriver() and links the
// suite.
#ifndef BULKHEAD_NIC_DRIVER_CONFORMANCE_INTERFACE_SUITE_H_
#define BULKHEAD_NIC_DRIVER_CONFORMANCE_INTERFACE_SUITE_H_

#include <memory>

#include "nic_driver/framework/driver.h"

namespace bulkhead::nic_driver {

struct InterfaceDriverUnderTest {
  std::unique_ptr<Driver> (*create)(const DriverContext& context);
  bool xdp = false;  // It is handed XDP sockets, else packet sockets.
};

const InterfaceDriverUnderTest& TheInterfaceDriver();

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_CONFORMANCE_INTERFACE_SUITE_H_
