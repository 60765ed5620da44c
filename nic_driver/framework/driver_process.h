// The main program of every driver:
//
//   int main() { return bulkhead::nic_driver::RunDriver<E1000e>(); }
//
// The process says Ready to the supervisor and waits, perhaps as a warm spare;
// Start brings the device grant.
#ifndef BULKHEAD_NIC_DRIVER_FRAMEWORK_DRIVER_PROCESS_H_
#define BULKHEAD_NIC_DRIVER_FRAMEWORK_DRIVER_PROCESS_H_

#include <memory>

#include "absl/strings/string_view.h"
#include "nic_driver/framework/runtime.h"

namespace bulkhead::nic_driver {

// Returns main's exit status.
int RunDriverProcess(absl::string_view name, DriverFactory factory);

// D has `kName` and a static `Create(const DriverContext&)`.
template <typename D>
int RunDriver() {
  return RunDriverProcess(D::kName, [](const DriverContext& context) {
    return std::unique_ptr<Driver>(D::Create(context));
  });
}

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_FRAMEWORK_DRIVER_PROCESS_H_
