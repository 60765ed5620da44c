// Which bench a driver of PCIe devices is on: a model (model_bench.h), or a
// real function behind VFIO (card_bench.h). A program has one of them, by what
// it is linked with: its tests are the same.
#ifndef BULKHEAD_NIC_DRIVER_CONFORMANCE_TESTING_PCI_BENCH_H_
#define BULKHEAD_NIC_DRIVER_CONFORMANCE_TESTING_PCI_BENCH_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "nic_driver/conformance/testing/device_bench.h"

namespace bulkhead::nic_driver::testing {

// What a bench cannot show, each with the reason that a test tells in place of
// showing it; null: it can.
struct BenchLimits {
  // Devices that lie, or die, when a test asks for it (nic_model/faults.h).
  const char* no_faults = nullptr;
  // A NIC that is pulled out under its driver.
  const char* no_unplug = nullptr;
  // Frames that find no buffer are lost, and counted as missed.
  const char* no_misses = nullptr;
  // port() has all of nic_model/counters.h, and not only what an echo sees.
  const char* no_witness = nullptr;
  // What overtakes nothing in the NIC overtakes nothing on the wire.
  const char* no_order = nullptr;
};

struct PciBench {
  absl::StatusOr<std::unique_ptr<DeviceBench>> (*make)(
      const DeviceOptions& options) = nullptr;
  // False: there is none here; the tests are to be skipped.
  bool (*usable)() = [] { return true; };
  // Of the NIC under test.
  MacAddress nic_mac = kNicMac;
  BenchLimits limits = {};
  // How many drivers, and sessions, to start one after another.
  uint32_t many_drivers = 100;
  uint32_t many_sessions = 1000;
};

const PciBench& ThePciBench();

}  // namespace bulkhead::nic_driver::testing

#endif  // BULKHEAD_NIC_DRIVER_CONFORMANCE_TESTING_PCI_BENCH_H_
