// What the conformance suite has to know of a driver: which binaries, what kind
// of device, and how to pull the cable of its model. Each driver defines
// TheDevice() once.
#ifndef BULKHEAD_NIC_DRIVER_CONFORMANCE_DEVICE_UNDER_TEST_H_
#define BULKHEAD_NIC_DRIVER_CONFORMANCE_DEVICE_UNDER_TEST_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nic_driver/conformance/testing/device_bench.h"
#include "nic_driver/conformance/testing/pci_bench.h"
#include "nic_model/vfio_user/client.h"
#include "packet_stream/layout.h"

namespace bulkhead::nic_driver {

struct DeviceUnderTest {
  // Paths below the workspace's root.
  std::string driver_program;
  std::string model_program = {};
  std::string model = {};
  // Names of nic_model/faults.h that make a variant of the model: in all tests.
  std::vector<std::string> variant = {};
  uint32_t vendor = 0;
  uint32_t device = 0;
  uint32_t irq_vectors = 0;
  uint32_t max_mtu = 1500;
  // Through the owner's connection; the link may take a moment to follow.
  absl::Status (*set_link)(vfio_user::Client& owner, bool up) = nullptr;

  // --- Of a device that is no model: PCIe devices have it of their bench ---
  absl::StatusOr<std::unique_ptr<testing::DeviceBench>> (*make_device)(
      const testing::DeviceOptions& options) = testing::ThePciBench().make;
  // False: this user can have none; the tests are to be skipped.
  bool (*usable)() = testing::ThePciBench().usable;
  testing::BenchLimits limits = testing::ThePciBench().limits;
  // It reaches frames by DMA alone (S3).
  bool data_blind = true;
  // Of a frame to send.
  uint32_t max_tx_pieces = packet_stream::kMaxFramePieces;
  // The smallest buffers that a session may have.
  uint32_t least_buffer_bytes = 256;
  // How many to start, and to open, one after another: fewer where that takes
  // its time.
  uint32_t many_drivers = testing::ThePciBench().many_drivers;
  uint32_t many_sessions = testing::ThePciBench().many_sessions;
};

const DeviceUnderTest& TheDevice();

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_CONFORMANCE_DEVICE_UNDER_TEST_H_
