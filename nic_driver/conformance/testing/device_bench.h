// The NIC at the far end of a FakePlatform, and what its port is plugged into:
// a model (model_bench.h), a real PCIe function (card_bench.h), or a Linux
// interface (interface_bench.h).
#ifndef BULKHEAD_NIC_DRIVER_CONFORMANCE_TESTING_DEVICE_BENCH_H_
#define BULKHEAD_NIC_DRIVER_CONFORMANCE_TESTING_DEVICE_BENCH_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "nic_model/counters.h"
#include "nic_model/vfio_user/client.h"
#include "packet_stream/session_areas.h"
#include "platform_service/api/driver.pb.h"
#include "platform_service/parking/parking_lot.h"

namespace bulkhead::nic_driver::testing {

using MacAddress = std::array<uint8_t, 6>;

// Of every NIC under test that can be given one; see NicMac() of frames.h.
inline constexpr MacAddress kNicMac = {0x02, 0xb0, 0x1c, 0x4e, 0xad, 0x01};

// Bounds of all waits: against hangs only, since a test never depends on time,
// and an emulated machine on a busy one pauses for seconds.
inline constexpr int kPatienceMs = 60'000;
inline constexpr uint64_t kPatienceNs = uint64_t{kPatienceMs} * 1'000'000;

struct DeviceOptions {
  // false: the port echoes. true: what the NIC sends arrives at wire(), and the
  // other way about, a frame a packet.
  bool wire = false;
  uint32_t max_mtu = 1500;
  uint32_t queues = 1;  // That the driver may use.
  // Its description lies beside it.
  std::string driver_program;

  // --- Of a PCIe device ---
  uint32_t vendor = 0x8086;
  uint32_t device = 0x10d3;
  uint32_t irq_vectors = 3;

  // --- Of a model ---
  std::string model_program;
  std::string model = "82574l";
  std::vector<std::string> variant;  // Faults that do not count as such.
  std::vector<std::string> faults;
  // Through the owner's connection.
  absl::Status (*set_link)(vfio_user::Client& owner, bool up) = nullptr;
};

// What the platform service does to a NIC, as its DeviceOwner does.
//
// Threading: one thread.
class DeviceBench {
 public:
  virtual ~DeviceBench() = default;

  virtual absl::Status AddToGrant(platform::DeviceGrant* grant,
                                  platform::FdList* fds) = 0;
  virtual absl::Status SetBusMaster(bool on) = 0;
  virtual absl::Status Reset() = 0;
  virtual absl::Status MapDma(uint64_t iova, uint64_t bytes, int memory_fd,
                              bool writable) = 0;
  virtual absl::Status UnmapDma(uint64_t iova, uint64_t bytes) = 0;
  // What a session needs of the device beside its mapping.
  virtual absl::Status AddToSession(const packet_stream::SessionAreas& areas,
                                    platform::SessionGrant* grant,
                                    platform::FdList* fds) = 0;

  // The link may take a moment to follow. Says in `message` what the platform
  // service would tell the driver; none, if the NIC itself does.
  virtual absl::Status SetLink(bool up, platform::ToDriver* message) = 0;
  // As a descriptor, a frame a packet, of a port that is not plugged into an
  // echo.
  virtual int wire() const = 0;
  // What the port counted.
  virtual const nic_model::PortCounters& port() const = 0;

  // As if it were pulled out.
  virtual void Unplug() = 0;
  // That the device holds: none may be left over.
  virtual size_t OpenDescriptors() const = 0;
};

}  // namespace bulkhead::nic_driver::testing

#endif  // BULKHEAD_NIC_DRIVER_CONFORMANCE_TESTING_DEVICE_BENCH_H_
