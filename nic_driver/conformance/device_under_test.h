// What the conformance suite has to know of a driver: which binaries, and how
// to pull the cable of its model. Each driver defines TheDevice() once.
#ifndef BULKHEAD_NIC_DRIVER_CONFORMANCE_DEVICE_UNDER_TEST_H_
#define BULKHEAD_NIC_DRIVER_CONFORMANCE_DEVICE_UNDER_TEST_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "nic_model/vfio_user/client.h"

namespace bulkhead::nic_driver {

struct DeviceUnderTest {
  // Paths below the workspace's root.
  std::string driver_program;
  std::string model_program;
  std::string model;
  // Names of nic_model/faults.h that make a variant of the model: in all tests.
  std::vector<std::string> variant = {};
  uint32_t vendor = 0;
  uint32_t device = 0;
  uint32_t irq_vectors = 0;
  uint32_t max_mtu = 1500;
  // Through the owner's connection; the link may take a moment to follow.
  absl::Status (*set_link)(vfio_user::Client& owner, bool up) = nullptr;
};

const DeviceUnderTest& TheDevice();

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_CONFORMANCE_DEVICE_UNDER_TEST_H_
